// Asks kdbts_node whether this robot could stand at places before it: docs/query.md.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>

#include "geometry_msgs/msg/point32.hpp"
#include "geometry_msgs/msg/pose.hpp"
#include "kdbts_ros/srv/query_occupancy.hpp"
#include "rclcpp/rclcpp.hpp"

using kdbts_ros::srv::QueryOccupancy;

namespace
{

constexpr std::chrono::seconds kPatience{10};

// A robot of 1.2 x 0.8 m at three places before this one.
std::shared_ptr<QueryOccupancy::Request> footprints_ahead()
{
  auto request = std::make_shared<QueryOccupancy::Request>();
  request->header.frame_id = "base_link";
  const float corners[][2] = {{0.6f, 0.4f}, {-0.6f, 0.4f}, {-0.6f, -0.4f}, {0.6f, -0.4f}};
  for (const auto & corner : corners) {
    geometry_msgs::msg::Point32 point;
    point.x = corner[0];
    point.y = corner[1];
    request->polygon.points.push_back(point);
  }
  for (const double x : {6.0, 8.0, 10.0}) {
    geometry_msgs::msg::Pose pose;
    pose.position.x = x;
    request->poses.push_back(pose);
  }
  return request;
}

const char * in_words(std::uint8_t collision)
{
  switch (collision) {
    case QueryOccupancy::Response::NO:
      return "free";
    case QueryOccupancy::Response::YES:
      return "occupied";
    default:
      return "nobody knows";
  }
}

// The answer; null where there is none, and stderr says why.
QueryOccupancy::Response::SharedPtr ask(
  const rclcpp::Node::SharedPtr & node, const QueryOccupancy::Request::SharedPtr & request)
{
  auto client = node->create_client<QueryOccupancy>("kdbts/query");
  if (!client->wait_for_service(kPatience)) {
    std::fprintf(stderr, "nobody answers %s: is kdbts_node active?\n", client->get_service_name());
    return nullptr;
  }
  auto future = client->async_send_request(request);
  const auto ended = rclcpp::spin_until_future_complete(node, future, kPatience);
  if (ended != rclcpp::FutureReturnCode::SUCCESS) {
    std::fprintf(stderr, "no answer came in time\n");
    return nullptr;
  }
  auto answer = future.get();
  if (!answer->success) {
    std::fprintf(stderr, "%s\n", answer->message.c_str());
    return nullptr;
  }
  return answer;
}

}  // namespace

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  const auto answer = ask(std::make_shared<rclcpp::Node>("query_example"), footprints_ahead());
  for (std::size_t i = 0; answer && i < answer->collision.size(); ++i) {
    std::printf(
      "footprint %zu: %s, probability %.2f\n", i, in_words(answer->collision[i]),
      static_cast<double>(answer->probability[i]));
  }
  rclcpp::shutdown();
  return answer ? 0 : 1;
}
