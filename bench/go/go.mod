module github.com/libkv/libkv/bench/go

go 1.24

require github.com/libkv/libkv/bindings/go v0.0.0

replace github.com/libkv/libkv/bindings/go => ../../bindings/go
