// Ownership: stores, values, scans and batches are move-only, and free what they hold when they go.

#include <iostream>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kv.hpp"

static_assert(!std::is_copy_constructible_v<kv::Store> && std::is_nothrow_move_constructible_v<kv::Store>);
static_assert(!std::is_copy_constructible_v<kv::Value> && std::is_nothrow_move_constructible_v<kv::Value>);
static_assert(!std::is_copy_constructible_v<kv::Scan> && std::is_nothrow_move_constructible_v<kv::Scan>);
static_assert(!std::is_copy_constructible_v<kv::Watch> && std::is_nothrow_move_constructible_v<kv::Watch>);
static_assert(!std::is_copy_constructible_v<kv::Batch> && std::is_nothrow_move_constructible_v<kv::Batch>);

// A function may make a store and give it away.
static kv::Store filled() {
    kv::Store store = kv::Store::memory();
    store.set("large", std::string(100000, 'x'));
    store.set("small", "y");
    return store;
}

// A class may own one. It is move-only itself, and needs no destructor.
class Sessions {
  public:
    explicit Sessions(kv::Store store) : store_(std::move(store)) {}
    std::optional<kv::Value> find(const std::string& id) const { return store_.get(id); }

  private:
    kv::Store store_;
};

int main() {
    std::vector<kv::Value> kept;
    {
        Sessions sessions(filled());
        Sessions owner = std::move(sessions);
        // The bytes of a large value are the store's own, not copied; the value keeps them.
        kept.push_back(*owner.find("large"));
        kept.push_back(*owner.find("small"));
    }  // the store is closed here

    for (const kv::Value& value : kept) std::cout << value.size() << " bytes outlive their store\n";

    // A store can be closed early, to hear how the last flush went.
    kv::Store store = filled();
    kv::Store taken = std::move(store);
    taken.close();
    std::cout << "closed\n";
}
