/// kv/options.hpp: what a store is opened with. Part of kv.hpp; include that.

#ifndef KV_OPTIONS_HPP
#define KV_OPTIONS_HPP

#include <chrono>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "result.hpp"

namespace kv {

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
#endif
    template <class T>
    Result<void> set(std::nothrow_t, std::string_view name, const T& value) noexcept {
        if (handle_ == nullptr) return Failure(Status::no_memory);
        return with_texts(name, value, [&](const char* name_text, const char* value_text, kv_error_t** error) {
            return kv_options_set(handle_, name_text, value_text, error);
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

}  // namespace kv

#endif  // KV_OPTIONS_HPP
