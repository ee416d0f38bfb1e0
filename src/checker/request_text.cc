// SPDX-License-Identifier: Apache-2.0
#include "checker/request_text.h"

namespace watchwheel::checker {

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) {
      return at < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[at])) : 0U;
    };
    const unsigned three = (byte(i) << 16U) | (byte(i + 1) << 8U) | byte(i + 2);
    text += kLetters[three >> 18U];
    text += kLetters[(three >> 12U) & 63U];
    text += i + 1 < bytes.size() ? kLetters[(three >> 6U) & 63U] : '=';
    text += i + 2 < bytes.size() ? kLetters[three & 63U] : '=';
  }
  return text;
}

std::string request_text(const ExchangeRequest& request) {
  const Target& target = *request.target;
  const ProbePlan& plan = *request.plan;
  const HeaderLines& lines = request.at_origin ? plan.lines : plan.lines_elsewhere;
  std::string text;
  text.reserve(128 + target.path.size() + target.host.size() + lines.text.size() +
               request.cookies.size());
  text.append(request.method).append(" ").append(target.path);
  text += plan.http == HttpVersion::V1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  if (lines.host.empty()) {
    text.append("Host: ").append(target.host_header()).append("\r\n");
  } else {
    text += lines.host;
  }
  const std::string& user = plan.login ? plan.login->user : target.user;
  const std::string& password = plan.login ? plan.login->password : target.password;
  if (request.at_origin && !lines.own_login && !(user.empty() && password.empty()))
    text.append("Authorization: Basic ").append(base64(user + ":" + password)).append("\r\n");
  if (!lines.own_accept) text += "Accept: */*\r\n";
  if (!request.cookies.empty()) text.append("Cookie: ").append(request.cookies).append("\r\n");
  text += lines.text;
  return text += "\r\n";
}

}  // namespace watchwheel::checker
