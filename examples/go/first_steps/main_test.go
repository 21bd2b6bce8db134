package main

func Example() {
	main()
	// Output: Value: value
}
