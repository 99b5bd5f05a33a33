// Just enough SVG for line plots.
#ifndef SVI_WORKER_DRIFT_SVG_H_
#define SVI_WORKER_DRIFT_SVG_H_

#include <string>
#include <string_view>
#include <vector>

namespace svi::drift {

struct Point {
  double x = 0;  // pixels, to the right
  double y = 0;  // pixels, down
};

enum class Anchor { kStart, kMiddle, kEnd };

class Svg {
 public:
  Svg(double width, double height);

  void Line(Point from, Point to, std::string_view colour, double width = 1);
  // `dash`: as stroke-dasharray; empty: a whole line.
  void Polyline(const std::vector<Point>& points, std::string_view colour, double width,
                std::string_view dash);
  void Polygon(const std::vector<Point>& points, std::string_view colour, double opacity);
  void Circle(Point centre, double radius, std::string_view colour);
  // `text` may hold any characters. Bold if `bold`.
  void Text(Point at, std::string_view text, double size, Anchor anchor = Anchor::kStart, bool bold = false);

  // The whole document.
  [[nodiscard]] std::string Finish() const;

 private:
  std::string body_;
};

}  // namespace svi::drift

#endif  // SVI_WORKER_DRIFT_SVG_H_
