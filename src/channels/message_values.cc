// SPDX-License-Identifier: Apache-2.0
#include "channels/message_values.h"

#include <algorithm>

#include "checker/safe_text.h"
#include "checker/target.h"
#include "core/ensure.h"
#include "core/units.h"

namespace watchwheel::channels {
namespace {

using sideeffects::Message;
using sideeffects::MessageSite;

constexpr std::size_t kFieldBytesMax = 1024;
constexpr std::size_t kSubjectBytesMax = 200;

std::string line(std::string_view text) {
  return checker::safe_text(text, kFieldBytesMax);
}

std::string time_text(core::WallTime t) {
  return t == core::kNoWallTime ? "" : core::to_iso8601(t);
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return line(out);
}

std::string number_or_nothing(std::uint64_t number) {
  return number == 0 ? "" : std::to_string(number);
}

std::string duration_of(const MessageSite& site) {
  if (site.ended_at == core::kNoWallTime || site.started_at == core::kNoWallTime) return "";
  return core::humanize(std::max(site.ended_at - site.started_at, core::Duration::zero()));
}

// Nothing is the matter with what is over.
std::string cause_of(const MessageSite& site) {
  const bool fine =
      site.kind == core::EventKind::Outage && site.evidence.cause == core::Cause::Ok;
  return fine ? "" : std::string(sideeffects::cause_word(site));
}

// By name, so that the lists of fields can grow and be put in another order.
template <std::size_t N>
void put(std::array<std::string, N>& into, const std::array<std::string_view, N>& names,
         std::string_view name, std::string text) {
  const auto* const found = std::find(names.begin(), names.end(), name);
  ENSURE(found != names.end(), "a template's field that is not in its list");
  into[static_cast<std::size_t>(found - names.begin())] = std::move(text);
}

std::array<std::string, kSiteFields.size()> site_values(const MessageSite& site,
                                                        std::size_t number) {
  std::array<std::string, kSiteFields.size()> out;
  const auto set = [&out](std::string_view name, std::string text) {
    put(out, kSiteFields, name, std::move(text));
  };
  set("site", number_or_nothing(site.site.value));
  set("name", shown_name(site));
  set("url", shown_url(site));
  set("tags", joined(site.tags));
  set("state", std::string(sideeffects::state_word(site)));
  set("previous_state", std::string(sideeffects::previous_state_word(site)));
  set("reason", std::string(core::to_string(site.reason)));
  set("cause", cause_of(site));
  set("phase", std::string(core::to_string(site.evidence.phase)));
  set("http_status", number_or_nothing(site.evidence.http_status));
  set("detail", line(site.evidence.detail));
  set("address", line(site.evidence.address));
  set("witnesses", joined(site.witnesses));
  set("failures", number_or_nothing(site.failures));
  set("started_at", time_text(site.started_at));
  set("confirmed_at", time_text(site.confirmed_at));
  set("ended_at", time_text(site.ended_at));
  set("duration", duration_of(site));
  set("at", time_text(site.at));
  set("incident", condition_key(site));
  set("number", std::to_string(number));
  return out;
}

Template ours(std::string_view text) {
  core::Result<Template> parsed = Template::parse(text);
  return std::move(parsed).value();
}

}  // namespace

std::string shown_url(const MessageSite& site) {
  return line(checker::url_without_secrets(site.url));
}

std::string shown_name(const MessageSite& site) {
  return site.name.empty() ? shown_url(site) : line(site.name);
}

std::string shown_headline(const Message& message) {
  if (message.sites.size() != 1) return line(headline(message));
  // It names the site by its URL where it has no name, and that may hold a password.
  Message safe = message;
  safe.sites.front().name = shown_name(message.sites.front());
  return line(headline(safe));
}

TemplateValues message_values(const Message& message) {
  TemplateValues out;
  const auto set = [&out](std::string_view name, std::string text) {
    put(out.message, kMessageFields, name, std::move(text));
  };
  set("id", line(message.id));
  set("kind", std::string(to_string(message.kind)));
  set("severity", std::string(to_string(message.severity)));
  set("target", line(message.target));
  set("headline", shown_headline(message));
  set("made_at", time_text(message.made_at));
  set("count", std::to_string(message.sites.size()));
  set("outage", number_or_nothing(message.group));
  set("since", time_text(message.group_started_at));
  set("part", number_or_nothing(message.part));
  set("note", line(message.note));
  std::string links;
  for (const sideeffects::MessageLink& link : message.links)
    links += (links.empty() ? "" : "\n") + line(link.text) + ": " + line(link.url);
  set("links", std::move(links));
  for (const MessageSite& site : message.sites)
    out.sites.push_back(site_values(site, out.sites.size() + 1));
  return out;
}

const Template& default_subject() {
  static const Template text = ours("{{headline}}");
  return text;
}

const Template& default_text() {
  static const Template text = ours(
      "{{#sites}}{{name}}\n"
      "  {{url}}\n"
      "  {{state}}{{#cause}}: {{cause}}{{/cause}}{{#detail}} - {{detail}}{{/detail}}\n"
      "{{#started_at}}  since {{started_at}}{{#ended_at}} until {{ended_at}}, for "
      "{{duration}}{{/ended_at}}\n{{/started_at}}"
      "{{#witnesses}}  also seen by {{witnesses}}\n{{/witnesses}}"
      "{{#tags}}  tags: {{tags}}\n{{/tags}}"
      "\n{{/sites}}"
      "{{#note}}{{note}}\n\n{{/note}}"
      "{{#links}}{{links}}\n\n{{/links}}"
      "Message {{id}} of {{made_at}}, {{severity}}, for {{target}}.\n");
  return text;
}

core::Result<Wording> word(const Message& message, const std::string& subject_template,
                           const std::string& text_template, std::size_t text_bytes_max,
                           Template::Escape escape) {
  const TemplateValues values = message_values(message);
  const auto rendered = [&](const std::string& own, const Template& otherwise,
                            std::size_t bytes_max) -> core::Result<std::string> {
    if (own.empty()) return otherwise.render(values, bytes_max, escape);
    const core::Result<Template> parsed = Template::parse(own);
    if (!parsed) return parsed.error();
    return parsed->render(values, bytes_max, escape);
  };
  core::Result<std::string> subject =
      rendered(subject_template, default_subject(), kSubjectBytesMax);
  if (!subject) return subject.error();
  core::Result<std::string> text = rendered(text_template, default_text(), text_bytes_max);
  if (!text) return text.error();
  std::replace(subject->begin(), subject->end(), '\n', ' ');
  return Wording{.subject = checker::safe_text(*subject, kSubjectBytesMax + 3),
                 .text = *std::move(text)};
}

}  // namespace watchwheel::channels
