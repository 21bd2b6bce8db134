// A C++ program that knows nothing but kv.hpp.
#include <iostream>
#include <kv.hpp>

int main() {
    kv::Store store = kv::Store::memory();
    store.set("key", "value", std::chrono::minutes(1));
    if (store.get("key") != std::string_view("value") || store.get("none")) return 1;
    std::cout << "libkv " << kv::version() << " works in C++\n";
}
