// SPDX-License-Identifier: Apache-2.0
// checker/tls_client.h - our own certificate, for servers that ask for one.
//
// Owns     the certificate, its chain and its private key: read once for each plan that names them, and again when the files have
//          changed (plan.h); shared by all handshakes of that plan.
// Thread   the lane's. Reads files, which checks that are under way wait for: when a plan is made.
// Bounded  kClientFileBytesMax a file; only regular files are read.
// Fails    Invalid, naming the option and the file, and nothing that is in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"

struct ssl_ctx_st;

namespace watchwheel::checker {

inline constexpr std::size_t kClientFileBytesMax = 64 * 1024;

// Whether a server asked for our certificate in a handshake, and what it got. Withheld: a redirect led there, and who a site's
// monitor is, is nobody else's business.
enum class ClientAsked : std::uint8_t { No, Unanswered, Withheld, Answered };

class ClientCertificate : core::Pinned {
 public:
  // PEM: the certificate first, then its chain; the key in `key_file`, or in `cert_file` too when that is "". A name without '/'
  // is a systemd credential (secret_file.h). Refused: what cannot be read, an encrypted key (nobody is there to type its
  // password), a key of another certificate, one too weak for this machine's OpenSSL, one that has ended by `now`.
  [[nodiscard]] static core::Result<std::shared_ptr<const ClientCertificate>> load(
      const std::string& cert_file, const std::string& key_file, core::WallTime now);
  ~ClientCertificate();

  // Why it cannot be shown at `now`: it has ended; "" when it can. Not of its chain.
  [[nodiscard]] std::string ended(core::WallTime now) const;
  // False: no memory.
  [[nodiscard]] bool install(ssl_ctx_st* context) const;
  // Shows the same and has the same key, whatever files it was read from.
  [[nodiscard]] bool same_as(const ClientCertificate& other) const;

 private:
  struct Parts;
  explicit ClientCertificate(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::checker
