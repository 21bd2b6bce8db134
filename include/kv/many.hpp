/// kv/many.hpp: many keys in one call, packed. Part of kv.hpp; include that.

#ifndef KV_MANY_HPP
#define KV_MANY_HPP

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "result.hpp"

namespace kv {

namespace detail {
/// Strings one behind the other, and their lengths: the packed form of kv.h.
class Packed {
  public:
    template <class Strings>
    void assign(const Strings& strings) {
        using Element = decltype(*std::begin(strings));
        static_assert(std::is_lvalue_reference_v<Element> || std::is_same_v<std::decay_t<Element>, std::string_view>,
                      "the keys must outlive the loop over them: give a container of strings or string_views");
        clear();
        for (const std::string_view one : strings) add(one);
    }
    void clear() noexcept {
        bytes_.clear();
        lens_.clear();
    }
    void add(std::string_view one) {
        bytes_.append(one);
        lens_.push_back(one.size());
    }
    const char* bytes() const noexcept { return bytes_.data(); }
    const std::size_t* lens() const noexcept { return lens_.data(); }
    std::size_t count() const noexcept { return lens_.size(); }

  private:
    std::string bytes_;
    std::vector<std::size_t> lens_;
};
}  // namespace detail

/// The values that Store::get_packed read, in the order of its keys, all in one piece of memory. Threads: as a
/// std::vector.
class PackedValues {
  public:
    std::size_t size() const noexcept { return spans_.size(); }
    bool empty() const noexcept { return spans_.empty(); }
    /// The value of the key with this index, or nothing; valid as long as this object is neither changed nor destroyed.
    std::optional<std::string_view> operator[](std::size_t index) const noexcept KV_HPP_LIFETIMEBOUND {
        const kv_span_t& span = spans_[index];
        if (span.len == KV_SPAN_NONE) return std::nullopt;
        return std::string_view(buffer_.get() + span.offset, span.len);
    }

  private:
    friend class Store;

    template <class Keys>
    kv_status_t read(kv_store_t* store, const Keys& keys, kv_error_t** error) {
        keys_.assign(keys);
        spans_.resize(keys_.count());
        // Always some memory, so that even an empty value has an address.
        std::size_t needed = keys_.count() * 64 + 64;
        for (;;) {
            if (capacity_ < needed) {
                capacity_ = 0;
                buffer_.reset(new char[needed]);
                capacity_ = needed;
            }
            const kv_status_t status = kv_get_packed(store, keys_.bytes(), keys_.lens(), keys_.count(), buffer_.get(),
                                                     capacity_, spans_.data(), &needed, error);
            if (status != KV_SHORT_BUFFER) return status;
            needed += needed / 8;  // a value may grow until the next try
        }
    }

    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;
    std::vector<kv_span_t> spans_;
    detail::Packed keys_;
};

}  // namespace kv

#endif  // KV_MANY_HPP
