package main

func Example() {
	main()
	// Output:
	// user:1 is Ada
	// session has expired
	// visits: 100
	// user:1 was Ada, is Ada Lovelace
	// 2 entries, 27 bytes
}
