#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
