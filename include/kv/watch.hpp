/// kv/watch.hpp: changes of a store, one after the other. Part of kv.hpp; include that.

#ifndef KV_WATCH_HPP
#define KV_WATCH_HPP

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

/// What happened to an entry. Added up, the numbers are a mask.
enum class Change : std::uint32_t {
    set = KV_CHANGE_SET,          ///< it has a new value
    deleted = KV_CHANGE_DELETED,  ///< a call removed it
    expired = KV_CHANGE_EXPIRED,  ///< its deadline came
    evicted = KV_CHANGE_EVICTED,  ///< it made room for others
    cleared = KV_CHANGE_CLEARED,  ///< everything was deleted; the event has no key
    touched = KV_CHANGE_TOUCHED   ///< it has another deadline
};

/// Which changes a watch sees. `kv::WatchOptions().prefix("user:").only(kv::Change::set)`; each call changes this
/// object and returns it.
class WatchOptions {
  public:
    /// One key.
    WatchOptions& key(std::string_view key) { return keys_ = key, exact_ = true, *this; }
    /// All keys that begin with this.
    WatchOptions& prefix(std::string_view prefix) { return keys_ = prefix, exact_ = false, *this; }
    /// From this revision on, itself included; 0 is from now on.
    WatchOptions& from_revision(std::uint64_t revision) noexcept { return from_revision_ = revision, *this; }
    /// Changes of this kind, and of others that were named before.
    WatchOptions& only(Change change) noexcept {
        return changes_ |= static_cast<std::uint32_t>(change), *this;
    }

  private:
    friend class Store;

    kv_watch_options_t native() const noexcept {
        kv_watch_options_t options = KV_WATCH_OPTIONS_INIT;
        options.key_or_prefix = kv_slice_t{keys_.data(), keys_.size()};
        options.from_revision = from_revision_;
        options.changes = changes_;
        options.exact = exact_ ? 1 : 0;
        return options;
    }

    std::string keys_;
    std::uint64_t from_revision_ = 0;
    std::uint32_t changes_ = 0;
    bool exact_ = false;
};

/// What a watch came to. The views are valid until the watch goes on.
struct Event {
    Status status;     ///< ok; lagged; timeout; done once the watch was cancelled. Without ok there is no change
    Change change;     ///< what happened
    std::string_view key;
    std::string_view value;              ///< of a set
    std::uint64_t revision;              ///< of the change; with lagged: the one that the watch goes on with
    std::uint64_t lagged;                ///< with lagged: how many events were missed
    std::optional<TimePoint> expire_at;  ///< the deadline that was set; nothing: it does not expire

    /// Whether this is a change.
    explicit operator bool() const noexcept { return status == Status::ok; }
};

/// A watch: `for (const kv::Event& event : watch)` waits for one change after the other until the watch is cancelled,
/// and tells by Status::lagged where some were missed. Move-only. It may outlive its store, and then fails with
/// Status::closed. Threads: belongs to one at a time, but for cancel.
class Watch {
  public:
    /// Takes over a watch of kv.h.
    explicit Watch(kv_watch_t* handle) noexcept : handle_(handle) {}
    Watch(Watch&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Watch& operator=(Watch&& other) noexcept {
        Watch taken(std::move(other));
        std::swap(handle_, taken.handle_);
        return *this;
    }
    ~Watch() { kv_watch_free(handle_); }

    /// The next change, or why there is none. Waits for it, for ever or as long as this. Status::closed; poisoned once
    /// all changes were seen and no more will come.
    Result<Event> next(std::nothrow_t) noexcept { return next_within(-1); }
    template <class Rep, class Period>
    Result<Event> next(std::nothrow_t, std::chrono::duration<Rep, Period> timeout) noexcept {
        const auto ms = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
        return next_within(ms < 0 ? 0 : static_cast<std::int64_t>(ms));
    }
    /// Ends the watch, from any thread: next answers Status::done from then on, and wakes if it waits.
    void cancel() noexcept { kv_watch_cancel(handle_); }
    /// A descriptor for poll: readable while next has something to give. Never to be read or closed; -1 if there is
    /// none.
    int fd() const noexcept { return kv_watch_fd(handle_); }

#if KV_HPP_EXCEPTIONS
    Event next() { return next(std::nothrow).value(); }
    template <class Rep, class Period>
    Event next(std::chrono::duration<Rep, Period> timeout) {
        return next(std::nothrow, timeout).value();
    }

    /// One change after the other, up to the cancelling. Going on throws as next does.
    class iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Event;
        using difference_type = std::ptrdiff_t;
        using pointer = const Event*;
        using reference = const Event&;

        iterator() noexcept = default;
        explicit iterator(Watch* watch) : watch_(watch) { ++*this; }
        reference operator*() const noexcept { return *event_; }
        pointer operator->() const noexcept { return &*event_; }
        iterator& operator++() {
            event_ = watch_->next();
            if (event_->status == Status::done) event_.reset();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.event_.has_value() == b.event_.has_value();
        }
        friend bool operator!=(const iterator& a, const iterator& b) noexcept { return !(a == b); }

      private:
        Watch* watch_ = nullptr;
        std::optional<Event> event_;
    };
    iterator begin() { return iterator(this); }
    iterator end() noexcept { return iterator(); }
#endif

  private:
    Result<Event> next_within(std::int64_t timeout_ms) noexcept {
        kv_event_t event = KV_EVENT_INIT;
        const kv_status_t status = kv_watch_next(handle_, timeout_ms, &event);
        if (status < 0) return Failure(status, nullptr);
        Event out{static_cast<Status>(status), static_cast<Change>(event.change), view(event.key), view(event.value),
                  event.revision, event.lagged, {}};
        if (status == KV_OK && event.expire_at_ms != KV_TTL_NONE) {
            out.expire_at = TimePoint(std::chrono::milliseconds(event.expire_at_ms));
        }
        return out;
    }
    static std::string_view view(const kv_slice_t& bytes) noexcept {
        return std::string_view(static_cast<const char*>(bytes.data), bytes.len);
    }
    kv_watch_t* handle_;
};

}  // namespace kv

#endif  // KV_WATCH_HPP
