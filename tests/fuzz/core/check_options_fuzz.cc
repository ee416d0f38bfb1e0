// SPDX-License-Identifier: Apache-2.0
// Check options as texts, as a site list and the command line give them.
// Input: "name=text" again and again, each ended by a zero byte; '~' at the front sets a default instead of the site's own.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/check_options.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using core::CheckOptions;

// Refused: nothing changes. Taken: the same text again changes nothing more.
bool hold_apply_laws(CheckOptions& options, const std::string& name, std::string_view text) {
  const CheckOptions before = options;
  const auto fits = core::apply_option(options, name, text);
  if (!fits) {
    LAW(options == before, "what is refused changes nothing", name, text);
    LAW(!fits.error().message.empty() && has_no_controls(fits.error().message),
        "a refusal says why in one line", fits.error().message);
    return false;
  }
  const CheckOptions once = options;
  LAW(core::apply_option(options, name, text).has_value() && options == once,
      "setting it twice is setting it once", name, text);
  LAW((core::fingerprint(before) == core::fingerprint(options)) == (before == options),
      "a fingerprint is equal exactly when the options are", name, text);
  CheckOptions fresh;
  LAW(core::apply_option(fresh, name, text).has_value(), "a text fits by itself", name, text);
  return true;
}

void hold_limits(const CheckOptions& o) {
  LAW(o.timeout >= std::chrono::milliseconds(100) && o.timeout <= std::chrono::minutes(5),
      "timeout in its range");
  LAW(o.headers.size() <= 32 && o.body.size() <= 64 * 1024 && o.expect_status.size() <= 16,
      "limits of the request");
  LAW(o.keyword.size() <= 16 && o.forbidden.size() <= 16 && o.body_match.size() <= 8 &&
          o.body_not_match.size() <= 8 && o.json_equals.size() <= 16 &&
          o.expect_header.size() <= 16,
      "limits of the assertions");
  LAW(o.resolvers.size() <= 8 && o.allow.size() <= 64 && o.max_redirects <= 50,
      "limits of the means");
  LAW(o.max_body_bytes <= 64ULL * 1024 * 1024, "a body has a limit");
  for (const core::Header& header : o.headers) {
    LAW(is_graphic(header.name), "a header's name is a token", header.name);
    LAW(header.value.find_first_of("\r\n") == std::string::npos &&
            header.value.find('\0') == std::string::npos,
        "a header is one line", header.value);
  }
  LAW(is_graphic(o.method) && !o.method.empty(), "a method is a word", o.method);
  LAW(o.user_agent.find_first_of("\r\n") == std::string::npos, "a user agent is one line",
      o.user_agent);
  LAW(o.auth_user.find(':') == std::string::npos && has_no_controls(o.auth_user),
      "a user's name is fit for basic authentication", o.auth_user);
}

void hold_merge_laws(const CheckOptions& defaults, const core::SiteOptions& own) {
  const auto merged = core::merge_options(defaults, own);
  if (!merged) {
    LAW(!merged.error().message.empty() && has_no_controls(merged.error().message),
        "a refusal says why in one line", merged.error().message);
    return;
  }
  LAW(core::check_consistency(*merged).has_value(), "what is merged is consistent");
  hold_limits(*merged);
  const auto again = core::merge_options(*merged, own);
  LAW(again && *again == *merged, "merging twice is merging once");
  const auto nothing = core::merge_options(*merged, {});
  LAW(nothing && *nothing == *merged, "nothing on top changes nothing");
  LAW(core::fingerprint(*again) == core::fingerprint(*merged), "equal options, equal fingerprint");
  if (!core::body_reader(*merged).empty())
    LAW(merged->method != "HEAD" && merged->max_body_bytes > 0,
        "a body is looked at only when one comes");
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  fuzz::Input input(data, size);
  core::CheckOptions defaults;
  core::CheckOptions all;
  std::map<std::string, std::string> own;
  while (!input.empty()) {
    fuzz::Input entry = [&] {
      const std::string_view text = input.until('\0');
      return fuzz::Input(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    }();
    std::string name(entry.until('='));
    const std::string_view text = entry.rest();
    const bool is_default = name.starts_with('~');
    if (is_default) name.erase(0, 1);
    if (is_default) {
      fuzz::hold_apply_laws(defaults, name, text);
    } else if (fuzz::hold_apply_laws(all, name, text)) {
      own[name] = text;
    } else if (size % 2 == 0) {
      own[name] = text;  // Now and then what does not fit.
    }
  }
  fuzz::hold_limits(all);
  fuzz::hold_limits(defaults);
  if (!core::check_consistency(defaults)) defaults = {};
  fuzz::hold_merge_laws(defaults, core::SiteOptions(own.begin(), own.end()));
  return 0;
}
