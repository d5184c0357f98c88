// Asks ~/query about 10,000 points again and again, and says how long answers take: a client for
// `kdbts benchmark --query --client PROGRAM`, on rcl, which rclcpp is built on. NAME SECONDS.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kdbts_ros/srv/query_occupancy.hpp"
#include "rcl/error_handling.h"
#include "rcl/graph.h"
#include "rcl/rcl.h"
#include "rosidl_typesupport_cpp/service_type_support.hpp"

using kdbts_ros::srv::QueryOccupancy;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

namespace
{

constexpr std::size_t kPoints = 10000;
// No whole fraction of a camera's period: questions come at every moment of a frame.
constexpr std::chrono::milliseconds kPeriod{73};
constexpr std::chrono::seconds kPatience{60}, kAnswerPatience{2};

void check(rcl_ret_t found, const char * what)
{
  if (found != RCL_RET_OK) {
    throw std::runtime_error(std::string(what) + ": " + rcl_get_error_string().str);
  }
}

// One client of one service; ends with the process.
class Client
{
public:
  explicit Client(const std::string & service)
  {
    const auto allocator = rcl_get_default_allocator();
    check(rcl_init_options_init(&options_, allocator), "options");
    check(rcl_init(0, nullptr, &options_, &context_), "init");
    const auto node_options = rcl_node_get_default_options();
    check(rcl_node_init(&node_, "query_load", "", &context_, &node_options), "node");
    const auto client_options = rcl_client_get_default_options();
    const auto * type =
      rosidl_typesupport_cpp::get_service_type_support_handle<QueryOccupancy>();
    check(rcl_client_init(&client_, &node_, type, service.c_str(), &client_options), "client");
    check(rcl_wait_set_init(&waits_, 0, 0, 0, 1, 0, 0, &context_, allocator), "wait set");
  }

  bool wait_for_service()
  {
    bool there = false;
    for (const auto until = Clock::now() + kPatience; !there && Clock::now() < until; ) {
      check(rcl_service_server_is_available(&node_, &client_, &there), "service");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return there;
  }

  // Whether the answer came in time.
  bool ask(const QueryOccupancy::Request & request, QueryOccupancy::Response & answer)
  {
    std::int64_t number = 0;
    check(rcl_send_request(&client_, &request, &number), "request");
    for (const auto until = Clock::now() + kAnswerPatience; Clock::now() < until; ) {
      check(rcl_wait_set_clear(&waits_), "wait set");
      check(rcl_wait_set_add_client(&waits_, &client_, nullptr), "wait set");
      if (rcl_wait(&waits_, RCL_MS_TO_NS(500)) == RCL_RET_OK && taken(number, answer)) {
        return true;
      }
      rcl_reset_error();
    }
    return false;
  }

private:
  bool taken(std::int64_t number, QueryOccupancy::Response & answer)
  {
    rmw_service_info_t info;
    return rcl_take_response_with_info(&client_, &info, &answer) == RCL_RET_OK &&
           info.request_id.sequence_number == number;
  }

  rcl_init_options_t options_ = rcl_get_zero_initialized_init_options();
  rcl_context_t context_ = rcl_get_zero_initialized_context();
  rcl_node_t node_ = rcl_get_zero_initialized_node();
  rcl_client_t client_ = rcl_get_zero_initialized_client();
  rcl_wait_set_t waits_ = rcl_get_zero_initialized_wait_set();
};

// Points 3 to 23 m ahead of the robot, as the benchmark's own client asks about.
QueryOccupancy::Request points_ahead()
{
  QueryOccupancy::Request request;
  request.header.frame_id = "base_link";
  request.max_age = std::numeric_limits<double>::infinity();
  std::mt19937 numbers(0);
  std::uniform_real_distribution<double> share(0.0, 1.0);
  for (std::size_t i = 0; i < kPoints; ++i) {
    for (const double value : {3 + 20 * share(numbers), 20 * share(numbers) - 10,
        2 * share(numbers)})
    {
      request.points.push_back(value);
    }
  }
  return request;
}

// "null" of nothing, as JSON has it.
std::string percentile(std::vector<double> values, double share)
{
  if (values.empty()) {
    return "null";
  }
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", values[at]);
  return text;
}

void measure(Client & client, std::chrono::duration<double> length)
{
  const auto request = points_ahead();
  std::vector<double> trips, inside;
  std::size_t asked = 0;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(length);
  for (auto next = Clock::now(); next < end; next += kPeriod) {
    std::this_thread::sleep_until(next);
    QueryOccupancy::Response answer;
    const auto began = Clock::now();
    ++asked;
    if (client.ask(request, answer) && answer.success && answer.probability.size() == kPoints) {
      trips.push_back(Milliseconds(Clock::now() - began).count());
      inside.push_back(static_cast<double>(answer.took_ms));
    }
  }
  std::printf(
    "{\"points\": %zu, \"asked\": %zu, \"answered\": %zu, \"refused\": %zu, "
    "\"round_trip_p50_ms\": %s, \"round_trip_p95_ms\": %s, \"node_p50_ms\": %s, "
    "\"node_p95_ms\": %s}\n",
    kPoints, asked, trips.size(), asked - trips.size(), percentile(trips, 0.5).c_str(),
    percentile(trips, 0.95).c_str(), percentile(inside, 0.5).c_str(),
    percentile(inside, 0.95).c_str());
}

}  // namespace

int main(int argc, char ** argv)
{
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s NODE SECONDS\n", argv[0]);
    return 2;
  }
  try {
    Client client(std::string(argv[1]) + "/query");
    if (!client.wait_for_service()) {
      std::fprintf(stderr, "nobody answers %s/query\n", argv[1]);
      return 1;
    }
    std::puts("asking");
    std::fflush(stdout);
    measure(client, std::chrono::duration<double>(std::atof(argv[2])));
  } catch (const std::runtime_error & error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
