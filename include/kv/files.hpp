/// kv/files.hpp: what a store in a directory has beside its contents. Part of kv.hpp; include that.

#ifndef KV_FILES_HPP
#define KV_FILES_HPP

#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>

#include "result.hpp"
#include "value.hpp"

namespace kv {

/// What a snapshot came to.
struct Snapshot {
    std::uint64_t entries;               ///< in it
    std::uint64_t bytes;                 ///< of the file
    std::uint64_t revision;              ///< the last one that it shows
    TimePoint created_at;                ///< the moment that it shows
    std::chrono::duration<double> took;  ///< how long it took
    std::string path;                    ///< the file
};

namespace detail {

/// A text that the library gave: freed also where copying it throws.
struct Text {
    char* text = nullptr;
    Text() noexcept = default;
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    ~Text() { kv_string_free(text); }
};

/// To a file, or for null into the store's own directory.
inline Result<Snapshot> snapshot(kv_store_t* store, const char* path) {
    kv_snapshot_info_t info = KV_SNAPSHOT_INFO_INIT;
    Text written;
    kv_error_t* error = nullptr;
    const kv_status_t status = kv_snapshot(store, path, &info, &written.text, &error);
    if (status != KV_OK) return Failure(status, error);
    return Snapshot{info.entries, info.bytes, info.revision, TimePoint(std::chrono::milliseconds(info.created_at_ms)),
                    std::chrono::duration<double>(info.seconds), std::string(written.text)};
}

/// Calls call(&text, &error), which answers with a report.
template <class Call>
Result<std::string> report(Call&& call) {
    Text out;
    kv_error_t* error = nullptr;
    const kv_status_t status = call(&out.text, &error);
    if (status != KV_OK) return Failure(status, error);
    return std::string(out.text);
}

}  // namespace detail

// ------------------------------------------------------------------------------------------------------ damage

inline Result<std::string> verify(std::nothrow_t, std::string_view path) noexcept {
    return detail::guarded([&]() -> Result<std::string> {
        return detail::with_text(path, [](const char* text) {
            return detail::report([&](char** out, kv_error_t** error) { return kv_verify(text, out, error); });
        });
    });
}

inline Result<std::string> salvage(std::nothrow_t, std::string_view from, std::string_view to) noexcept {
    return detail::guarded([&]() -> Result<std::string> {
        return detail::with_text(from, [&](const char* from_text) {
            return detail::with_text(to, [&](const char* to_text) {
                return detail::report(
                    [&](char** out, kv_error_t** error) { return kv_salvage(from_text, to_text, out, error); });
            });
        });
    });
}

#if KV_HPP_EXCEPTIONS
/// Reads every byte of a store's directory, or of a snapshot file, and says what is damaged and what that loses, as JSON;
/// the members are described at kv_verify in kv.h. The store must not be open. Nothing is changed.
[[nodiscard]] inline std::string verify(std::string_view path) { return verify(std::nothrow, path).value(); }

/// Copies what can be read of a damaged directory into a new one, and says what was lost, as JSON; the members are
/// described at kv_salvage in kv.h. The damaged one is left as it is.
inline std::string salvage(std::string_view from, std::string_view to) { return salvage(std::nothrow, from, to).value(); }
#endif

}  // namespace kv

#endif  // KV_FILES_HPP
