// SPDX-License-Identifier: Apache-2.0
// Maintenance windows: what is added comes back as it was, until it is over or removed.
#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using sideeffects::MaintenanceId;
using sideeffects::MaintenanceWindow;

MaintenanceWindow once(core::WallTime from, core::WallTime until) {
  MaintenanceWindow window;
  window.title = "deploy ü";
  window.sites = {core::SiteId{3}, core::SiteId{1ULL << 60U}};
  window.tags = {"eu", "with \"quotes\""};
  window.starts_at = from;
  window.ends_at = until;
  window.created_by = "ann";
  return window;
}

TEST_P(DeliveryContract, AMaintenanceWindowComesBackAsItWasAdded) {
  const auto windows = contract::take(store->make_maintenance_store());
  const core::WallTime now =
      core::from_unix_ms(4'000'000'000'000);  // Nothing of it is over for years.
  MaintenanceWindow first = once(now - std::chrono::hours{1}, now + std::chrono::hours{1});
  MaintenanceWindow second;
  second.all_sites = true;
  second.weekdays = 0x41;
  second.at = std::chrono::minutes{150};
  second.length = std::chrono::minutes{90};
  second.zone = "Europe/Berlin";
  first.id = contract::take(windows->add(first));
  second.id = contract::take(windows->add(second));
  EXPECT_LT(first.id, second.id);
  std::vector<MaintenanceWindow> all = contract::take(windows->list(now));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(all[0].created_at, core::kNoWallTime);
  for (MaintenanceWindow& window : all) window.created_at = core::kNoWallTime;
  EXPECT_EQ(all[0], first);
  EXPECT_EQ(all[1], second);
}

TEST_P(DeliveryContract, AMaintenanceWindowThatIsOverIsListedOnlyWhenAllAreAskedFor) {
  const auto windows = contract::take(store->make_maintenance_store());
  const core::WallTime now = core::from_unix_ms(1'900'000'000'000);
  (void)contract::take(windows->add(once(now - std::chrono::hours{2}, now)));
  EXPECT_TRUE(contract::take(windows->list(now)).empty());
  EXPECT_EQ(contract::take(windows->list(now - std::chrono::milliseconds{1})).size(), 1U);
  EXPECT_EQ(contract::take(windows->list(core::kNoWallTime)).size(), 1U);
}

TEST_P(DeliveryContract, AMaintenanceWindowIsRemovedOnce) {
  const auto windows = contract::take(store->make_maintenance_store());
  const core::WallTime now = core::from_unix_ms(4'000'000'000'000);
  const MaintenanceId id = contract::take(windows->add(once(now, now + std::chrono::hours{1})));
  EXPECT_TRUE(windows->remove(id));
  const auto again = windows->remove(id);
  ASSERT_FALSE(again);
  EXPECT_TRUE(is_error(again.error(), core::ErrorKind::NotFound, std::to_string(id.value)));
  EXPECT_TRUE(contract::take(windows->list(now)).empty());
}

}  // namespace
}  // namespace watchwheel::db::contract
