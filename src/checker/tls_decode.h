// SPDX-License-Identifier: Apache-2.0
// checker/tls_decode.h - decoding certificates cheaply, for the whole process.
//
// OpenSSL 3.0 and 3.1 look for a decoder of each certificate's public key among all that any provider has, anew each time: 250 to
// 280 us, several times what the rest of the certificate takes. They go straight to the decoder they had before when an ENGINE
// serves the key type. So we register one that serves EC and RSA with copies of OpenSSL's own built-in methods: no cryptography
// is replaced and nothing is loaded; a handshake costs about 0.7 of what it did.
//
// What it changes beside the time: nobody in this process can ask for a new EC key by a curve's NIST name ("P-256"; OpenSSL's own
// "prime256v1" is known; TLS asks by OpenSSL's names), and a key from before cannot sign a certificate (nobody here does; TLS
// signatures are no such thing).
//
// Owns     that registration, while it lives.
// Thread   made and destroyed by the composition root while no other thread works with certificates.
// Fails    to what OpenSSL does by itself; reason() says why. It is left alone when
//            - the OpenSSL we run on is none of [3.0, 3.2), or was built without engines: newer ones need no help,
//            - FIPS is asked for, or any provider but default, legacy and base is active, or an engine serves these keys already:
//              who configured that wants it used,
//            - the self-test finds any difference: an EC and an RSA certificate are decoded both ways, and a good and a forged
//              signature verified.
#pragma once

#include <string>
#include <string_view>

#include "core/pinned.h"

namespace watchwheel::checker {

class FastDecoding : core::Pinned {
 public:
  // `wanted` is the operator's switch.
  explicit FastDecoding(bool wanted);
  ~FastDecoding();

  [[nodiscard]] bool on() const { return on_; }
  // Of what was chosen: "self_test_passed", "switched_off", "openssl_3.5.0", "provider_fips" … No blanks: for a log line.
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  bool on_ = false;
  std::string reason_;
};

}  // namespace watchwheel::checker
