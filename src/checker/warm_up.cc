// SPDX-License-Identifier: Apache-2.0
#include "checker/warm_up.h"

#include <openssl/ssl.h>

#include <memory>

namespace watchwheel::checker {

void warm_up(const ProbePlan& plan, const core::Clock& clock) {
  struct ContextDeleter {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  const std::unique_ptr<SSL_CTX, ContextDeleter> context(SSL_CTX_new(TLS_client_method()));
  if (context) (void)plan.trust->install(context.get(), clock.steady(), clock.wall());
}

}  // namespace watchwheel::checker
