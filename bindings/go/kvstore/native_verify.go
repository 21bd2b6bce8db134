package kvstore

// The calls into C that are about files of stores that are not open.

/*
#include "native_files.h"
*/
import "C"

import "encoding/json"

func verify(path string) (VerifyReport, error) {
	text, free, err := toC("path", path)
	if err != nil {
		return VerifyReport{}, err
	}
	defer free()
	return takeReport[VerifyReport](C.kvgo_verify(text))
}

func salvage(from, to string) (SalvageReport, error) {
	fromText, freeFrom, err := toC("path", from)
	if err != nil {
		return SalvageReport{}, err
	}
	defer freeFrom()
	toText, freeTo, err := toC("path", to)
	if err != nil {
		return SalvageReport{}, err
	}
	defer freeTo()
	return takeReport[SalvageReport](C.kvgo_salvage(fromText, toText))
}

// takeReport reads a report that came as JSON, and frees what C handed over.
func takeReport[T any](answer C.kvgo_report_t) (T, error) {
	if answer.status != C.KV_OK {
		var none T
		return none, takeError(answer.status, answer.err)
	}
	defer C.kv_string_free(answer.text)
	return readReport[T](C.GoString(answer.text))
}

func readReport[T any](text string) (T, error) {
	var report T
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return report, &Error{Status: StatusUnsupported, Message: "the report is of another libkv: " + err.Error()}
	}
	return report, nil
}
