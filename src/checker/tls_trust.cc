// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_trust.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "checker/file_stamp.h"

namespace watchwheel::checker {
namespace {

constexpr std::size_t kDirectoryEntriesMax = 10'000;

// Without any certificate every https check is ours to answer for, so we do not wait a minute for some to appear.
constexpr core::Duration kLookForTheFirst = std::chrono::seconds{1};

bool load_file(X509_STORE* store, const std::string& path) {
  const bool loaded = X509_STORE_load_file(store, path.c_str()) == 1;
  ERR_clear_error();
  return loaded;
}

// The stores of machines have less than 1 MiB; what is longer than this is something else.
constexpr std::uintmax_t kTrustFileBytesMax = 16 * 1024 * 1024;

bool is_file(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         std::filesystem::file_size(path, error) <= kTrustFileBytesMax && !error;
}

// It is there, but cannot be opened: what may stand in it is not known. A link that leads nowhere holds nothing.
bool is_closed_to_us(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd == -1) return errno != ENOENT && errno != ELOOP;
  ::close(fd);
  return false;
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  std::filesystem::directory_iterator at(directory, error);
  const std::filesystem::directory_iterator end;
  // Incremented by hand: the range loop's increment throws.
  while (!error && at != end && files.size() < kDirectoryEntriesMax) {
    files.push_back(at->path().string());
    at.increment(error);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

class TrustSource : core::Pinned {
 public:
  virtual ~TrustSource() = default;
  [[nodiscard]] virtual FileStamp look() const = 0;
  // False when there is no certificate, or a file with some cannot be read.
  [[nodiscard]] virtual bool load(X509_STORE* store) const = 0;
};

namespace {

class FileSource final : public TrustSource {
 public:
  explicit FileSource(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] FileStamp look() const override {
    FileStamp stamp;
    stamp.add(path_);
    return stamp;
  }
  [[nodiscard]] bool load(X509_STORE* store) const override {
    // Whom the operator names is trusted, whether a root, an intermediate or the server's own certificate.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    // A pipe would hold the lane's thread until somebody writes.
    return is_file(path_) && load_file(store, path_);
  }

 private:
  const std::string path_;
};

// Debian's OpenSSL knows where its certificates are; an operator may point elsewhere by OpenSSL's own variable.
// A directory is read file by file, now: looked into at each handshake, as OpenSSL would, it would be read
// on the lane's thread, and one without certificates would pass for trust and call every site untrusted.
class SystemSource final : public TrustSource {
 public:
  SystemSource() : files_(candidates()) {
    if (files_.size() > 1) directory_ = X509_get_default_cert_dir();
  }
  [[nodiscard]] FileStamp look() const override {
    FileStamp stamp;
    for (const std::string& file : files_) stamp.add(file);
    if (uses_directory()) {
      for (const std::string& file : files_in(directory_)) stamp.add(file);
    }
    return stamp;
  }
  [[nodiscard]] bool load(X509_STORE* store) const override {
    for (const std::string& file : files_) {
      if (is_file(file) && load_file(store, file)) return true;
    }
    for (const std::string& file : files_in(directory_)) {
      if (is_closed_to_us(file)) return false;
      if (is_file(file)) (void)load_file(store, file);  // Others than certificates stand there too.
    }
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0;
  }

 private:
  static std::vector<std::string> candidates() {
    const char* chosen = std::getenv(
        X509_get_default_cert_file_env());  // NOLINT(concurrency-mt-unsafe): nobody sets it.
    if (chosen != nullptr) return {chosen};
    return {X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt"};
  }
  [[nodiscard]] bool uses_directory() const {
    return !directory_.empty() && std::none_of(files_.begin(), files_.end(), is_file);
  }

  const std::vector<std::string> files_;
  std::string directory_;  // Where the files are missing; "": nowhere.
};

}  // namespace

// What the stores of a lane share.
struct TrustStores::Ground {
  Ground(Stats* counted, std::size_t chains_max) : chains(chains_max), stats(counted) {}
  ChainCache chains;
  Stats* stats;
  std::uint64_t generations = 0;
};

TrustStores::TrustStores(Stats* stats, std::size_t chains_max)
    : ground_(std::make_shared<Ground>(stats, chains_max)) {}
void TrustStores::give_back_memory() {
  ground_->chains.shrink();
  if (ground_->stats != nullptr)
    ground_->stats->tls_chain_entries.set(static_cast<double>(ground_->chains.size()));
}
TrustStores::~TrustStores() {
  ground_->stats = nullptr;  // A plan may outlive its lane's counters.
}

std::shared_ptr<TrustStore> TrustStores::system() {
  if (!system_) system_.reset(new TrustStore(ground_, std::make_unique<SystemSource>()));
  return system_;
}

core::Result<std::shared_ptr<TrustStore>> TrustStores::file(const std::string& path) {
  if (const auto known = files_.find(path); known != files_.end()) {
    if (auto store = known->second.lock()) return store;
  }
  std::shared_ptr<TrustStore> made(new TrustStore(ground_, std::make_unique<FileSource>(path)));
  if (!made->load()) {
    return core::Error{core::ErrorKind::Invalid,
                       "ca_file: " + path + " cannot be read or holds no PEM certificate"};
  }
  std::erase_if(files_, [](const auto& entry) { return entry.second.expired(); });
  files_[path] = made;
  return made;
}

void TrustStore::StoreDeleter::operator()(x509_store_st* store) const {
  X509_STORE_free(store);
}

TrustStore::TrustStore(std::shared_ptr<TrustStores::Ground> ground,
                       std::unique_ptr<TrustSource> source)
    : ground_(std::move(ground)), source_(std::move(source)) {}
TrustStore::~TrustStore() = default;

// True: what was there before it was read is there still, and is in force. The chains of the store before are known no more:
// the generation is part of their hashes.
bool TrustStore::load() {
  FileStamp before = source_->look();
  Loaded loaded(X509_STORE_new());
  if (!loaded || !source_->load(loaded.get())) return false;
  if (store_ && source_->look().text != before.text) return false;
  store_ = std::move(loaded);
  stamp_ = std::move(before.text);
  generation_ = ++ground_->generations;
  return true;
}

void TrustStore::look_again(core::SteadyTime now, core::WallTime wall) {
  if (look_at_ == core::kNoSteadyTime)
    look_at_ = now + FileStamp::kLookEvery;  // Loaded when it was made.
  if (now < look_at_) return;
  look_at_ = now + FileStamp::kLookEvery;
  const FileStamp stamp = source_->look();
  if (stamp.text == stamp_) return;
  if (!stamp.is_quiet(wall)) {
    look_at_ = now + FileStamp::kQuiet;
    return;
  }
  const bool loaded = load();
  if (ground_->stats == nullptr) return;
  (loaded ? ground_->stats->trust_reloads : ground_->stats->trust_reload_failures).add();
}

core::Result<void> TrustStore::ready(core::SteadyTime now, core::WallTime wall) {
  if (store_) {
    look_again(now, wall);
  } else if (look_at_ == core::kNoSteadyTime || now >= look_at_) {
    look_at_ = now + (load() ? FileStamp::kLookEvery : kLookForTheFirst);
  }
  if (!store_) {
    return core::Error{core::ErrorKind::Unavailable,
                       "no trusted certificates on this machine: is ca-certificates installed?"};
  }
  return {};
}

core::Result<void> TrustStore::install(ssl_ctx_st* context, core::SteadyTime now,
                                       core::WallTime wall) {
  if (auto is_ready = ready(now, wall); !is_ready) return is_ready;
  SSL_CTX_set1_cert_store(context, store_.get());
  return {};
}

bool TrustStore::knows(const Digest& chain, core::WallTime now) {
  const bool known = ground_->chains.knows(chain, now);
  if (ground_->stats != nullptr)
    (known ? ground_->stats->tls_chain_hits : ground_->stats->tls_chain_misses).add();
  return known;
}

void TrustStore::remember(const Digest& chain, core::WallTime now, core::WallTime until) {
  ground_->chains.remember(chain, now, until);
  if (ground_->stats != nullptr)
    ground_->stats->tls_chain_entries.set(static_cast<double>(ground_->chains.size()));
}

}  // namespace watchwheel::checker
