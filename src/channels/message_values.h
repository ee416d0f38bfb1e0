// SPDX-License-Identifier: Apache-2.0
// channels/message_values.h - a message as texts: for templates, and for all that channels write in their own words.
//
// Pure; any thread. Every text is valid UTF-8 on one line (but `links`, one a line) and holds no credentials: a URL is shown
// without login and query.
#pragma once

#include <string>

#include "channels/template.h"
#include "sideeffects/message.h"

namespace watchwheel::channels {

[[nodiscard]] TemplateValues message_values(const sideeffects::Message& message);

// The URL of a site as people may see it.
[[nodiscard]] std::string shown_url(const sideeffects::MessageSite& site);
// Its name, or its URL where it has none.
[[nodiscard]] std::string shown_name(const sideeffects::MessageSite& site);
// One line.
[[nodiscard]] std::string shown_headline(const sideeffects::Message& message);

// What is said where the operator has no words of his own.
[[nodiscard]] const Template& default_subject();
[[nodiscard]] const Template& default_text();

// The target's wording, or ours. Invalid as Template::parse says; a configuration that was checked has none.
struct Wording {
  std::string subject;  // One line of at most 200 bytes.
  std::string text;     // At most `text_bytes_max` bytes.
};
[[nodiscard]] core::Result<Wording> word(const sideeffects::Message& message,
                                         const std::string& subject_template,
                                         const std::string& text_template,
                                         std::size_t text_bytes_max,
                                         Template::Escape escape = nullptr);

}  // namespace watchwheel::channels
