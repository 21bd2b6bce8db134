/// kv/scan.hpp: entries of a prefix or a range, one after the other. Part of kv.hpp; include that.

#ifndef KV_SCAN_HPP
#define KV_SCAN_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "result.hpp"
#include "value.hpp"

namespace kv {

/// In which order a scan gives its entries.
enum class Order : std::int32_t { none = KV_ORDER_NONE, asc = KV_ORDER_ASC, desc = KV_ORDER_DESC };

/// Which entries a scan gives: those that meet all of these. `kv::ScanOptions().prefix("user:").order(kv::Order::asc)`;
/// each call changes this object and returns it.
class ScanOptions {
  public:
    ScanOptions& prefix(std::string_view prefix) { return prefix_ = prefix, *this; }
    /// Keys from this one on.
    ScanOptions& start(std::string_view start) { return start_ = start, *this; }
    /// Keys before this one; empty is no end.
    ScanOptions& end(std::string_view end) { return end_ = end, *this; }
    /// No more entries than this; 0 is no limit.
    ScanOptions& limit(std::uint64_t limit) noexcept { return limit_ = limit, *this; }
    ScanOptions& order(Order order) noexcept { return order_ = order, *this; }
    /// Leaves out the values.
    ScanOptions& keys_only(bool keys_only = true) noexcept { return keys_only_ = keys_only, *this; }
    /// Shows every entry as it was when the scan began, whatever changes meanwhile. See kv_scan.
    ScanOptions& point_in_time(bool point_in_time = true) noexcept { return point_in_time_ = point_in_time, *this; }

  private:
    friend class Store;

    kv_scan_options_t native() const noexcept {
        kv_scan_options_t options = KV_SCAN_OPTIONS_INIT;
        options.prefix = kv_slice_t{prefix_.data(), prefix_.size()};
        options.start = kv_slice_t{start_.data(), start_.size()};
        options.end = kv_slice_t{end_.data(), end_.size()};
        options.limit = limit_;
        options.order = static_cast<std::int32_t>(order_);
        options.keys_only = keys_only_ ? 1 : 0;
        options.point_in_time = point_in_time_ ? 1 : 0;
        return options;
    }

    std::string prefix_, start_, end_;
    std::uint64_t limit_ = 0;
    Order order_ = Order::none;
    bool keys_only_ = false;
    bool point_in_time_ = false;
};

/// An entry that a scan came to. The views are valid until the scan goes on.
struct Entry {
    std::string_view key;
    std::string_view value;              ///< empty in a scan of keys only
    std::uint64_t version;               ///< revision of the key's last change
    std::optional<TimePoint> expire_at;  ///< nothing: it does not expire
};

/// A scan under way: `for (const kv::Entry& entry : store.scan(options))`. An entry that is there from the beginning to
/// the end comes exactly once; one that comes, changes or goes meanwhile may be missing or come as it was at any moment
/// since the scan began, unless it is a scan with point_in_time. Move-only. It may outlive its store, and then fails with Status::closed. Threads: belongs to
/// one at a time.
class Scan {
  public:
    /// Takes over a scan of kv.h.
    explicit Scan(kv_scan_t* handle) noexcept : handle_(handle) {}
    Scan(Scan&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Scan& operator=(Scan&& other) noexcept {
        Scan taken(std::move(other));
        std::swap(handle_, taken.handle_);
        return *this;
    }
    ~Scan() { kv_scan_free(handle_); }

    /// The next entry, or nothing after the last one. Status::conflict once the store's contents were replaced by
    /// restore, and with point_in_time also once it was cleared, or more has changed than scan_buffer_bytes keeps.
    Result<std::optional<Entry>> next(std::nothrow_t) noexcept {
        kv_entry_t entry = KV_ENTRY_INIT;
        const kv_status_t status = kv_scan_next(handle_, &entry);
        if (status == KV_DONE) return std::optional<Entry>();
        if (status != KV_OK) return Failure(status, nullptr);
        Entry out{view(entry.key), view(entry.value), entry.version, {}};
        if (entry.expire_at_ms != KV_TTL_NONE) {
            out.expire_at = TimePoint(std::chrono::milliseconds(entry.expire_at_ms));
        }
        return std::optional<Entry>(out);
    }

#if KV_HPP_EXCEPTIONS
    std::optional<Entry> next() { return next(std::nothrow).value(); }

    /// One pass over what is left. Going on throws as next does.
    class iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;
        using pointer = const Entry*;
        using reference = const Entry&;

        iterator() noexcept = default;
        explicit iterator(Scan* scan) : scan_(scan), entry_(scan->next()) {}
        reference operator*() const noexcept { return *entry_; }
        pointer operator->() const noexcept { return &*entry_; }
        iterator& operator++() {
            entry_ = scan_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.entry_.has_value() == b.entry_.has_value();
        }
        friend bool operator!=(const iterator& a, const iterator& b) noexcept { return !(a == b); }

      private:
        Scan* scan_ = nullptr;
        std::optional<Entry> entry_;
    };
    iterator begin() { return iterator(this); }
    iterator end() noexcept { return iterator(); }
#endif

  private:
    static std::string_view view(const kv_slice_t& bytes) noexcept {
        return std::string_view(static_cast<const char*>(bytes.data), bytes.len);
    }
    kv_scan_t* handle_;
};

}  // namespace kv

#endif  // KV_SCAN_HPP
