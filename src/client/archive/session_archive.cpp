// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/archive/session_archive.hpp"

#include "base/byte_codec.hpp"
#include "base/openssl.hpp"

#include <reprise/error.hpp>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::string_view magic = "reprise sessions";
constexpr unsigned char file_version = 1;
constexpr std::size_t salt_size = 16;
constexpr std::size_t named_size = magic.size() + 1 + salt_size; // the keys are derived from this part
constexpr std::size_t check_size = 16;
constexpr std::size_t head_size = named_size + check_size;

constexpr unsigned char session_kind = 1;
constexpr unsigned char end_kind = 2;
constexpr std::size_t entry_head_size = 1 + 4;
constexpr std::size_t end_size = entry_head_size + aead::overhead;

// The keys of one file.
struct file_keys
{
    file_keys(secret_bytes const& key, byte_view named) : file_keys(keyed_hash{of_file(key, named)}) {}
    explicit file_keys(keyed_hash const& own) : cipher(own.derive("reprise session file entry"))
    {
        auto const whole = own(as_bytes("reprise session file check"));
        std::copy_n(whole.begin(), check.size(), check.begin());
    }

    aead cipher;
    std::array<unsigned char, check_size> check{};

private:
    static secret_bytes of_file(secret_bytes const& key, byte_view named)
    {
        auto const digest = keyed_hash{keyed_hash{key}.derive("reprise session file")}(named);
        return secret_bytes{byte_view{digest}};
    }
};

std::vector<unsigned char> place_of(unsigned char kind, std::size_t index)
{
    std::vector<unsigned char> place{kind};
    append_number<8>(place, index);
    return place;
}

} // namespace

archive_writer::archive_writer(secret_bytes const& key, std::size_t max_bytes) : max_bytes_(max_bytes)
{
    auto const name = as_bytes(magic);
    bytes_.assign(name.begin(), name.end());
    bytes_.push_back(file_version);
    bytes_.resize(named_size);
    check_openssl(::RAND_bytes(&bytes_[named_size - salt_size], salt_size) == 1);
    file_keys keys{key, bytes_};
    bytes_.insert(bytes_.end(), keys.check.begin(), keys.check.end());
    cipher_.emplace(std::move(keys.cipher));
}

bool archive_writer::add(byte_view record)
{
    auto const size = entry_head_size + aead::overhead + record.size();
    if (size > max_bytes_ || bytes_.size() + size + end_size > max_bytes_)
        return false;
    append(session_kind, record);
    ++entries_;
    return true;
}

std::vector<unsigned char> archive_writer::finish() &&
{
    append(end_kind, {});
    return std::move(bytes_);
}

void archive_writer::append(unsigned char kind, byte_view text)
{
    auto const sealed = cipher_->seal({}, text, place_of(kind, entries_));
    bytes_.push_back(kind);
    append_number<4>(bytes_, sealed.size());
    bytes_.insert(bytes_.end(), sealed.view().begin(), sealed.view().end());
}

archive_reader::archive_reader(byte_view bytes, secret_bytes const& key)
{
    if (bytes.size() < head_size || !std::ranges::equal(bytes.first(magic.size()), as_bytes(magic)))
        throw system_error{errc::session_file_foreign};
    if (bytes[magic.size()] != file_version)
        throw system_error{errc::session_file_version};
    file_keys keys{key, bytes.first(named_size)};
    if (::CRYPTO_memcmp(keys.check.data(), &bytes[named_size], check_size) != 0)
        throw system_error{errc::session_file_key};
    cipher_.emplace(std::move(keys.cipher));
    rest_ = bytes.subspan(head_size);
}

std::optional<archive_reader::entry> archive_reader::next()
{
    if (rest_.size() < entry_head_size)
        return std::nullopt;
    auto const kind = rest_[0];
    auto const size = read_number(rest_.subspan(1, entry_head_size - 1));
    if (size > rest_.size() - entry_head_size) // truncated or damaged: the next entry cannot be found
    {
        rest_ = {};
        return std::nullopt;
    }
    auto const sealed = rest_.subspan(entry_head_size, static_cast<std::size_t>(size));
    rest_ = rest_.subspan(entry_head_size + sealed.size());
    entry result{entries_, {}};
    if (kind == session_kind || kind == end_kind)
        result.record = cipher_->open(sealed, 0, place_of(kind, entries_));
    ++entries_;
    if (kind == end_kind && result.record)
    {
        is_whole_ = rest_.empty();
        rest_ = {};
        return std::nullopt;
    }
    return result;
}

} // namespace reprise::detail
