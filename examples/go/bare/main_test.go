package main

func Example() {
	main()
	// Output:
	// a store is open
	// hello from C
	// 4 bytes do not hold 12
	// hello from C
	// and then: the key is absent or has expired
}
