package kvstore

// Damaged files: what is wrong with them, and saving what is left. No store is open here.

// Finding is something that is wrong with a file of a store.
type Finding struct {
	// File is the path of the file.
	File string `json:"file"`
	// Offset is where in it, in bytes from its start, as far as that can be told.
	Offset uint64 `json:"offset"`
	// Problem is what is wrong.
	Problem string `json:"problem"`
	// Lost is what cannot be read because of it.
	Lost string `json:"lost"`
	// Harmless says that a crash leaves this in the ordinary course of things, and that opening mends it.
	Harmless bool `json:"harmless"`
}

// VerifyReport is what Verify found.
type VerifyReport struct {
	// Sound says that nothing was found, or only what is harmless.
	Sound bool `json:"sound"`
	// Files is how many files were read.
	Files uint64 `json:"files"`
	// Bytes is their length in bytes, together.
	Bytes uint64 `json:"bytes"`
	// Findings is what is wrong with them.
	Findings []Finding `json:"findings"`
}

// SalvageReport is what Salvage saved, and what it could not.
type SalvageReport struct {
	// Entries is how many there are in the new directory.
	Entries uint64 `json:"entries"`
	// Records is how many records of the log could be read and were applied.
	Records uint64 `json:"records"`
	// Findings is what could not be read.
	Findings []Finding `json:"findings"`
	// MayBeBack says that records may be missing before others that were applied, so that entries may be back which had
	// been deleted or changed.
	MayBeBack bool `json:"may_be_back"`
}

// Verify reads every byte of a store's directory, or of a snapshot file, and checks every checksum. Nothing is changed,
// and damage is no error but a Finding. The store must not be open: ErrLocked. Without a store at the path it fails
// with ErrInvalid.
func Verify(path string) (VerifyReport, error) {
	return verify(path)
}

// Salvage copies what can be read of the damaged store in one directory into a new one in another, which must be empty
// or not there (ErrInvalid). The damaged one is left as it is. Everything that is found is in memory for a while.
func Salvage(from, to string) (SalvageReport, error) {
	return salvage(from, to)
}
