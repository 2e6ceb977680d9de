import Foundation

/// Draws a run: every system on one sheet, over the payload's size, both axes logarithmic.
enum Plot {
  /// A picture where there is something to draw.
  static func write(_ results: Results, to folder: URL) throws {
    for (name, sheet) in [("latency", latency(results)), ("throughput", throughput(results))] {
      try sheet?.write(to: folder.appending(path: "\(name).svg"), atomically: true, encoding: .utf8)
    }
  }

  static func latency(_ results: Results) -> String? {
    sheet(
      results, title: "One-way latency, p50, payload written whole and read whole", unit: "microseconds",
      work: .latency, metric: .p50, scale: 1e-3, best: min)
  }

  static func throughput(_ results: Results) -> String? {
    sheet(
      results, title: "Throughput, one publisher to one subscriber, payload written whole and read whole", unit: "GB/s",
      work: .throughput, metric: .bytesPerSecond, scale: 1e-9, best: max)
  }

  private static let (width, height) = (960.0, 540.0)
  private static let (left, right, top, bottom) = (80.0, 190.0, 50.0, 60.0)
  private static let colors = [
    "#888888", "#d62728", "#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#e377c2", "#bbbbbb", "#17becf",
    "#8c564b", "#444444", "#bcbd22", "#aec7e8", "#ffbb78", "#98df8a", "#c5b0d5", "#c49c94",
  ]

  /// A system's best way of waiting at each size; nil without points.
  private static func sheet(
    _ results: Results, title: String, unit: String, work: Work, metric: Metric, scale: Double,
    best: (Double, Double) -> Double
  ) -> String? {
    let lines = results.measuredSystems.map(\.name).map { system in
      let points = Dictionary(
        results.measurements.filter { $0.system == system && $0.work == work && $0.configuration.isTouched }
          .compactMap { row in row.median(metric).map { (row.configuration.size, $0 * scale) } }, uniquingKeysWith: best
      )
      return (system, points.sorted { $0.key < $1.key })
    }
    let sizes = Set(lines.flatMap { $0.1.map(\.key) }).sorted()
    let values = lines.flatMap { $0.1.map(\.value) }
    guard let least = values.min(), let most = values.max(), let first = sizes.first, let last = sizes.last,
      first < last
    else { return nil }
    let (low, high) = (floor(log10(least)), ceil(log10(most)))
    func x(_ size: Int) -> Double {
      left + (log2(Double(size)) - log2(Double(first))) / (log2(Double(last)) - log2(Double(first)))
        * (width - left - right)
    }
    func y(_ value: Double) -> Double {
      height - bottom - (log10(value) - low) / (high - low) * (height - top - bottom)
    }
    func text(_ string: String, _ x: Double, _ y: Double, _ more: String = "") -> String {
      "<text x='\(Int(x))' y='\(Int(y))' \(more)>\(string)</text>"
    }

    var svg = [
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 \(Int(width)) \(Int(height))' font-family='sans-serif' font-size='13'>",
      "<rect width='100%' height='100%' fill='white'/>",
      text(title, left, 24, "font-size='16' font-weight='bold'"),
      text(
        "\(results.run.date) UTC, \(results.run.machine.cores) cores of \(results.run.machine.processor); each system in its best way of waiting",
        left, 42, "fill='#555'"),
      text(unit, 8, top + 8, "fill='#555'"),
    ]
    for power in stride(from: low, through: high, by: 1) {
      let at = y(pow(10, power))
      svg.append("<line x1='\(left)' x2='\(width - right)' y1='\(at)' y2='\(at)' stroke='#ddd'/>")
      svg.append(
        text(power < 0 ? "\(pow(10, power))" : "\(Int(pow(10, power)))", left - 8, at + 4, "text-anchor='end'"))
    }
    for size in sizes {
      svg.append("<line x1='\(x(size))' x2='\(x(size))' y1='\(top)' y2='\(height - bottom)' stroke='#eee'/>")
      svg.append(text(name(size), x(size), height - bottom + 20, "text-anchor='middle'"))
    }
    for (index, (system, points)) in lines.enumerated() where !points.isEmpty {
      let color = colors[index % colors.count]
      let path = points.map { "\(x($0.key)),\(y($0.value))" }.joined(separator: " ")
      let isOurs = system == System.poolBus
      svg.append("<polyline points='\(path)' fill='none' stroke='\(color)' stroke-width='\(isOurs ? 4 : 2)'/>")
      for point in points {
        svg.append("<circle cx='\(x(point.key))' cy='\(y(point.value))' r='3.5' fill='\(color)'/>")
      }
      let row = top + 20 + Double(index) * 22
      svg.append(
        "<line x1='\(width - right + 16)' x2='\(width - right + 40)' y1='\(row - 4)' y2='\(row - 4)' stroke='\(color)' stroke-width='4'/>"
      )
      svg.append(text(system, width - right + 48, row, isOurs ? "font-weight='bold'" : ""))
    }
    return (svg + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  private static func name(_ size: Int) -> String {
    size < 1 << 10 ? "\(size) B" : size < 1 << 20 ? "\(size >> 10) KiB" : "\(size >> 20) MiB"
  }
}
