// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_contexts.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <array>

namespace watchwheel::checker {
namespace {

// As ALPN has it: a length, and a name.
constexpr std::array<unsigned char, 9> kAlpn{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

int version_number(TlsVersion version) {
  switch (version) {
    case TlsVersion::V1_0:
      return TLS1_VERSION;
    case TlsVersion::V1_1:
      return TLS1_1_VERSION;
    case TlsVersion::V1_2:
      return TLS1_2_VERSION;
    case TlsVersion::V1_3:
      return TLS1_3_VERSION;
  }
  return TLS1_2_VERSION;
}

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ContextRef = std::unique_ptr<SSL_CTX, ContextDeleter>;

bool set_protocol(SSL_CTX* context, TlsVersion tls_min) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // A connection that ends without a word of good-bye is judged by HTTP: where a length says how long the body is, its end does
  // not matter, and without one it is the end that most servers give.
  SSL_CTX_set_options(context, (SSL_OP_ALL & ~SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS) |
                                   SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_post_handshake_auth(context, 1);
  // Else one call reads on for as long as a server sends tickets and no answer; now it ends with what one read brought.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  // A whole flight of the server's is one read instead of two for each of its records.
  SSL_CTX_set_read_ahead(context, 1);
  return SSL_CTX_set_min_proto_version(context, version_number(tls_min)) == 1 &&
         SSL_CTX_set_alpn_protos(context, kAlpn.data(), kAlpn.size()) == 0;
}

}  // namespace

struct TlsContexts::Entry {
  // What it was made for.
  TlsVersion tls_min = TlsVersion::V1_2;
  bool verifies = true;
  bool shows_client = false;
  std::weak_ptr<TrustStore> trust;
  // As of the plan that used it last: each plan reads its own, and plans that show the same share a context.
  std::weak_ptr<const ClientCertificate> client;

  ContextRef context;
  Handshake::Common common;

  [[nodiscard]] bool fits(const ProbePlan& plan, bool shows) const {
    return tls_min == plan.tls_min && verifies == plan.options.tls_verify &&
           shows_client == shows && common.trust_generation == plan.trust->generation() &&
           trust.lock() == plan.trust && (!shows || shows_same_as(*plan.client));
  }
  [[nodiscard]] bool shows_same_as(const ClientCertificate& asked) const {
    const auto shown = client.lock();
    return shown && shown->same_as(asked);
  }
  [[nodiscard]] bool stale() const {
    const auto store = trust.lock();
    return !store || store->generation() != common.trust_generation ||
           (shows_client && client.expired());
  }
};

TlsContexts::TlsContexts() = default;
TlsContexts::~TlsContexts() = default;

core::Result<TlsContexts::Found> TlsContexts::context_for(const ProbePlan& plan, bool at_origin,
                                                          core::SteadyTime now,
                                                          core::WallTime wall) {
  if (plan.options.tls_verify) {
    if (auto ready = plan.trust->ready(now, wall); !ready) return ready.error();
  }
  const bool shows = at_origin && plan.client != nullptr;
  const auto known = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& entry) { return entry->fits(plan, shows); });
  if (known != entries_.end()) {
    std::rotate(entries_.begin(), known, known + 1);
    if (shows) entries_.front()->client = plan.client;
    return Found{entries_.front()->context.get(), entries_.front()->common};
  }
  std::erase_if(entries_, [](const auto& entry) { return entry->stale(); });
  auto made = std::make_unique<Entry>();
  made->tls_min = plan.tls_min;
  made->verifies = plan.options.tls_verify;
  made->shows_client = shows;
  made->trust = plan.trust;
  made->client = plan.client;
  made->context.reset(SSL_CTX_new(TLS_client_method()));
  if (!made->context || !set_protocol(made->context.get(), plan.tls_min))
    return core::Error{core::ErrorKind::Unavailable, "no memory for a TLS context"};
  auto common = Handshake::set_up(made->context.get(), plan, at_origin, now, wall);
  if (!common) return common.error();
  made->common = *common;
  entries_.insert(entries_.begin(), std::move(made));
  if (entries_.size() > kTlsContextsMax) entries_.pop_back();
  return Found{entries_.front()->context.get(), entries_.front()->common};
}

}  // namespace watchwheel::checker
