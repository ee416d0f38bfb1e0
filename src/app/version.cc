// SPDX-License-Identifier: Apache-2.0
#include "app/version.h"

#include <ares.h>
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <spdlog/version.h>
#include <sqlite3.h>

#include <boost/version.hpp>

namespace watchwheel::app {

std::string_view version() {
  return WATCHWHEEL_VERSION;
}
std::string_view commit() {
  return WATCHWHEEL_COMMIT;
}

std::string version_text() {
  const auto dotted = [](int a, int b, int c) {
    return std::to_string(a) + "." + std::to_string(b) + "." + std::to_string(c);
  };
  const curl_version_info_data* curl = curl_version_info(CURLVERSION_NOW);
  std::string text =
      "watchwheel " + std::string(version()) + " (commit " + std::string(commit()) + ")\n";
  text += "libcurl " + std::string(curl->version) + " with " +
          (curl->ssl_version == nullptr ? "no TLS" : curl->ssl_version) + "\n";
  text += std::string(OpenSSL_version(OPENSSL_VERSION)) + "\n";
  text += "c-ares " + std::string(ares_version(nullptr)) + "\n";
  text += "SQLite " + std::string(sqlite3_libversion()) + "\n";
  text += "Boost " +
          dotted(BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100) + "\n";
  text += "spdlog " + dotted(SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH);
  return text;
}

std::string default_user_agent() {
  return "Watchwheel/" + std::string(version()) + " (uptime monitor)";
}

}  // namespace watchwheel::app
