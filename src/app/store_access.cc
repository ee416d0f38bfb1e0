// SPDX-License-Identifier: Apache-2.0
#include "app/store_access.h"

#include "checker/secret_file.h"

namespace watchwheel::app {

db::StoreAccess store_access(const StoreConfig& config) {
  db::StoreAccess access{config.url, nullptr, nullptr};
  if (!config.password_file.empty()) {
    access.password = [file = config.password_file] { return checker::read_secret(file); };
  }
  return access;
}

}  // namespace watchwheel::app
