// The header compiles by itself, twice, and as the first thing in a file, under every standard it promises.
#include "kv.hpp"
#include "kv.hpp"

// Takes the address of what templates and defaults would otherwise leave out.
#if KV_HPP_EXCEPTIONS
template kv::Options& kv::Options::set(std::string_view, const int&) &;
template std::vector<std::optional<kv::Value>> kv::Store::get_many(const std::vector<std::string>&) const;
template kv::PackedValues kv::Store::get_packed(const std::vector<std::string>&, kv::PackedValues) const;
template void kv::Store::set_many(const std::vector<std::pair<std::string, std::string>>&, kv::Ttl);
template std::uint64_t kv::Store::del_many(const std::vector<std::string>&);
template bool kv::Store::expire_at(std::string_view, std::chrono::system_clock::time_point);
#endif
template kv::Result<void> kv::Store::configure(std::nothrow_t, std::string_view, const bool&) noexcept;
template class kv::Result<std::optional<kv::Value>>;
template class kv::Result<kv::Store>;
