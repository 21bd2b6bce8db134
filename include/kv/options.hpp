/// kv/options.hpp: what a store is opened with. Part of kv.hpp; include that.

#ifndef KV_OPTIONS_HPP
#define KV_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "result.hpp"

namespace kv {

// -------------------------------------------------------------------------------------------------- removals

/// Why an entry went. The numbers are those of kv.h.
enum class Cause : std::uint32_t {
    deleted = KV_CHANGE_DELETED,    ///< a call removed it
    expired = KV_CHANGE_EXPIRED,    ///< its deadline came
    evicted = KV_CHANGE_EVICTED,    ///< it made room for others
    cleared = KV_CHANGE_CLEARED,    ///< clear() removed it
    replaced = KV_CHANGE_REPLACED,  ///< a write stored another value: this is the old one
};

/// A set of causes: `kv::Cause::evicted | kv::Cause::expired`.
class Causes {
  public:
    constexpr Causes(Cause cause) noexcept : bits_(static_cast<std::uint32_t>(cause)) {}
    static constexpr Causes all() noexcept {
        return Cause::deleted | Causes(Cause::expired) | Cause::evicted | Cause::cleared | Cause::replaced;
    }
    friend constexpr Causes operator|(Causes a, Causes b) noexcept { return Causes(a.bits_ | b.bits_); }
    /// As kv.h takes it.
    constexpr std::uint32_t bits() const noexcept { return bits_; }

  private:
    explicit constexpr Causes(std::uint32_t bits) noexcept : bits_(bits) {}
    std::uint32_t bits_;
};
constexpr Causes operator|(Cause a, Cause b) noexcept { return Causes(a) | Causes(b); }

/// An entry as it was when it went. The views are valid until the callback returns.
struct Removal {
    Cause cause;
    std::string_view key;
    std::string_view value;
};

namespace detail {
/// Runs a callback of the program's for C, through which nothing may be thrown: what it throws is printed.
template <class Call>
void contained([[maybe_unused]] const char* what, Call&& call) noexcept {
#if KV_HPP_EXCEPTIONS
    try {
        call();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "libkv: %s threw: %s\n", what, error.what());
    } catch (...) {
        std::fprintf(stderr, "libkv: %s threw\n", what);
    }
#else
    call();
#endif
}

/// The functions that C calls for a callable of type F, which `user_data` points to.
template <class F>
struct Listener {
    static void call(void* user_data, std::uint32_t change, const void* key, std::size_t key_len, const void* value,
                     std::size_t value_len) noexcept {
        const Removal removal{static_cast<Cause>(change), {static_cast<const char*>(key), key_len},
                              {static_cast<const char*>(value), value_len}};
        F& callback = *static_cast<F*>(user_data);
        contained("a removal callback", [&] { callback(removal); });
    }
    static void finalize(void* user_data) noexcept { delete static_cast<F*>(user_data); }
};
}  // namespace detail

// -------------------------------------------------------------------------------------------------- progress

/// What opening a store is busy with. The numbers are those of kv.h.
enum class Phase : std::uint32_t {
    snapshot = KV_PHASE_SNAPSHOT,  ///< entries of a snapshot are read
    log = KV_PHASE_LOG,            ///< the log is replayed that goes on from there
};

/// How far opening a store has come.
struct Progress {
    Phase phase;
    std::uint64_t done_bytes;   ///< read so far, over both phases
    std::uint64_t total_bytes;  ///< to be read
};

namespace detail {
/// As Listener, for a callable that is told of progress.
template <class F>
struct ProgressListener {
    static void call(void* user_data, std::uint32_t phase, std::uint64_t done, std::uint64_t total) noexcept {
        const Progress progress{static_cast<Phase>(phase), done, total};
        F& callback = *static_cast<F*>(user_data);
        contained("a progress callback", [&] { callback(progress); });
    }
    static void finalize(void* user_data) noexcept { delete static_cast<F*>(user_data); }
};
}  // namespace detail

// --------------------------------------------------------------------------------------------------- options

/// Options by the names of the README's table. Numbers, bools and durations are written out; sizes read "64MiB".
/// Move-only. A store copies what it needs, so one Options may open several.
class Options {
  public:
    Options() noexcept : handle_(kv_options_new()) {}
    Options(Options&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Options& operator=(Options&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Options() { kv_options_free(handle_); }

#if KV_HPP_EXCEPTIONS
    /// `Options{{"max_entries", "1000"}, {"eviction", "random"}}`.
    Options(std::initializer_list<std::pair<std::string_view, std::string_view>> options) : Options() {
        for (const auto& option : options) set(option.first, option.second);
    }
    /// An unknown name is Status::unsupported, a value that does not fit Status::invalid; what() names both and
    /// the nearest name or the valid range.
    template <class T>
    Options& set(std::string_view name, const T& value) & {
        set(std::nothrow, name, value).value();
        return *this;
    }
    template <class T>
    Options&& set(std::string_view name, const T& value) && {
        set(std::nothrow, name, value).value();
        return std::move(*this);
    }
    /// Has `callback(const kv::Removal&)` called for every entry that goes for one of these causes, on a thread of the
    /// store and after the change. It may call the store, but not close, shut down or destroy it. Slow ones delay no
    /// write: `callback_buffer` removals wait, and more are dropped and counted in Stats. Closing a store tells all that
    /// wait, so it must not happen under a lock that the callback takes. What it throws is printed to stderr, and the
    /// next removal is told. The callable is destroyed with the last of these options and the stores opened with
    /// them; several stores of the same options call it at once. Options have one callback, the last one given.
    template <class F>
    Options& on_remove(Causes causes, F&& callback) & {
        on_remove(std::nothrow, causes, std::forward<F>(callback)).value();
        return *this;
    }
    template <class F>
    Options&& on_remove(Causes causes, F&& callback) && {
        on_remove(std::nothrow, causes, std::forward<F>(callback)).value();
        return std::move(*this);
    }
    /// Has `callback(const kv::Progress&)` called by Store::open while it reads the files of a directory: when a phase
    /// begins, when it ends, and at most every 100 ms in between. What it throws is printed to stderr.
    template <class F>
    Options& on_progress(F&& callback) & {
        on_progress(std::nothrow, std::forward<F>(callback)).value();
        return *this;
    }
    template <class F>
    Options&& on_progress(F&& callback) && {
        on_progress(std::nothrow, std::forward<F>(callback)).value();
        return std::move(*this);
    }
#endif
    template <class T>
    Result<void> set(std::nothrow_t, std::string_view name, const T& value) noexcept {
        if (handle_ == nullptr) return Failure(Status::no_memory);
        return with_texts(name, value, [&](const char* name_text, const char* value_text, kv_error_t** error) {
            return kv_options_set(handle_, name_text, value_text, error);
        });
    }
    template <class F>
    Result<void> on_remove(std::nothrow_t, Causes causes, F&& callback) noexcept {
        using Kept = std::decay_t<F>;
        if (handle_ == nullptr) return Failure(Status::no_memory);
        return detail::guarded([&]() -> Result<void> {
            auto kept = std::make_unique<Kept>(std::forward<F>(callback));
            const kv_status_t status = kv_options_on_remove(handle_, causes.bits(), detail::Listener<Kept>::call,
                                                            kept.get(), detail::Listener<Kept>::finalize);
            if (status == KV_OK) static_cast<void>(kept.release());
            return detail::done(status);
        });
    }

    template <class F>
    Result<void> on_progress(std::nothrow_t, F&& callback) noexcept {
        using Kept = std::decay_t<F>;
        if (handle_ == nullptr) return Failure(Status::no_memory);
        return detail::guarded([&]() -> Result<void> {
            auto kept = std::make_unique<Kept>(std::forward<F>(callback));
            const kv_status_t status = kv_options_on_progress(handle_, detail::ProgressListener<Kept>::call, kept.get(),
                                                              detail::ProgressListener<Kept>::finalize);
            if (status == KV_OK) static_cast<void>(kept.release());
            return detail::done(status);
        });
    }

    const kv_options_t* native() const noexcept KV_HPP_LIFETIMEBOUND { return handle_; }

  private:
    friend class Store;
    /// Calls call(name, value, &error) with both as terminated text.
    template <class T, class Call>
    static Result<void> with_texts(std::string_view name, const T& value, Call&& call) noexcept {
        return detail::guarded([&]() -> Result<void> {
            return detail::with_text(name, [&](const char* name_text) -> Result<void> {
                return detail::with_text(text(value), [&](const char* value_text) -> Result<void> {
                    kv_error_t* error = nullptr;
                    const kv_status_t status = call(name_text, value_text, &error);
                    return detail::done(status, error);
                });
            });
        });
    }
    static std::string_view text(std::string_view value) noexcept { return value; }
    // A template, because a string literal converts to bool more readily than to string_view.
    template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    static std::string text(const T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            return value ? "true" : "false";
        } else {
            static_assert(std::is_integral_v<T> && sizeof(T) > 1, "a number, a bool, a duration or a string");
            return std::to_string(value);
        }
    }
    template <class Rep, class Period>
    static std::string text(std::chrono::duration<Rep, Period> value) {
        return std::to_string(detail::to_ms(value, true)) + "ms";
    }

    kv_options_t* handle_;
};

/// Counters and sizes; the fields are documented in kv.h.
using Stats = kv_stats_t;

/// A kind of call that the option `latency` has timed. The numbers are those of kv.h.
enum class Timed : std::int32_t {
    get = KV_TIMED_GET,    ///< reads of one key's value
    set = KV_TIMED_SET,    ///< set(), with making room and the wait for the log
    sync = KV_TIMED_SYNC,  ///< flushes of the log to the disk
};
/// How long calls took; the fields are documented in kv.h.
using Latency = kv_latency_t;

}  // namespace kv

#endif  // KV_OPTIONS_HPP
