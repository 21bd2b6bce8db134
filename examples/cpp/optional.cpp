// Absent is an answer, not an error: reads give a std::optional, and writes with a condition something to test.

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>

#include "kv.hpp"

int main() {
    kv::Store store = kv::Store::memory();
    store.set("name", "Ada");

    if (std::optional<kv::Value> name = store.get("name")) std::cout << "name is " << name->view() << '\n';
    std::cout << "city is " << (store.get("city") ? "there" : "absent") << '\n';

    // An empty value is there.
    store.set("nickname", "");
    std::cout << "nickname has " << store.get("nickname")->size() << " bytes\n";

    // Of many keys some may be absent.
    for (const std::optional<kv::Value>& value : store.get_many({"name", "city"})) {
        std::cout << (value ? value->str() : std::string("-")) << '\n';
    }

    // Taking is reading and deleting in one step, so only one of many can have it.
    std::cout << "first: " << store.take("name").has_value() << ", second: " << store.take("name").has_value() << '\n';

    // A write with a condition says whether it was done, and if not why.
    if (const kv::SetOutcome lock = store.set("lock", "me", kv::SetOptions().if_absent())) {
        std::cout << "locked\n";
    }
    const kv::SetOutcome again = store.set("lock", "you", kv::SetOptions().if_absent());
    std::cout << "again: " << kv::status_name(again.status) << '\n';
}
