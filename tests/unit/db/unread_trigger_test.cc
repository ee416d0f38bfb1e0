// SPDX-License-Identifier: Apache-2.0
#include "db/unread_trigger.h"

#include <gtest/gtest.h>

namespace watchwheel::db {
namespace {

// As MariaDB 10.11.19 told them after sessions had been interrupted.
constexpr std::string_view kInTheMiddle =
    "Trigger 'sites_changed' has an error in its body: 'You have an error in your SQL syntax; "
    "check the manual that corresponds to "
    "your MariaDB server version for the right syntax to use near 'BEGIN IF NEW.change_seq = "
    "OLD.change_seq THEN' at line 1'";
constexpr std::string_view kBeforeItsName =
    "Unknown trigger has an error in its body: 'You have an error in your SQL syntax; check the "
    "manual that corresponds to your "
    "MariaDB server version for the right syntax to use near 'TRIGGER sites_inserted' at line 1'";
constexpr std::string_view kAtItsBegin =
    "Unknown trigger has an error in its body: 'Query was empty'";
constexpr std::string_view kInTheQuery =
    "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB "
    "server version for the right syntax to "
    "use near 'SELEKT 1' at line 1";

TEST(UnreadTrigger, IsToldFromAnErrorInTheQuery) {
  for (const std::string_view message : {kInTheMiddle, kBeforeItsName, kAtItsBegin}) {
    EXPECT_TRUE(is_unread_trigger(1064, message, true)) << message;
    EXPECT_TRUE(is_unread_trigger(1064, message, false)) << message;
  }
  EXPECT_FALSE(is_unread_trigger(1064, kInTheQuery, false));
}

// Goal: a server that speaks another language is understood too.
TEST(UnreadTrigger, IsKnownByAQueryThatWasReadBefore) {
  EXPECT_TRUE(is_unread_trigger(1064, "Fehler in der SQL-Syntax bei 'BEGIN IF' in Zeile 1", true));
  EXPECT_FALSE(is_unread_trigger(1064, "Fehler in der SQL-Syntax bei 'SELEKT' in Zeile 1", false));
}

TEST(UnreadTrigger, IsNotWhatATriggerSaysItself) {
  EXPECT_FALSE(is_unread_trigger(1644, "a removed site stays for a day", true));
  EXPECT_FALSE(is_unread_trigger(1213, "Deadlock found when trying to get lock", true));
  EXPECT_FALSE(is_unread_trigger(1359, "Trigger 'w.sites_changed' already exists", false));
}

}  // namespace
}  // namespace watchwheel::db
