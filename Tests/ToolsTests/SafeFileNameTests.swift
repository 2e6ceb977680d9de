import Testing
import ToolSupport

@Suite struct SafeFileNameTests {
  @Test(arguments: [
    ("photo.jpg", "photo.jpg"), ("dir/photo.jpg", "photo.jpg"), ("/etc/passwd", "passwd"), ("dir/", "dir"),
    ("../../x", "x"), ("Grüße 1.txt", "Grüße 1.txt"), ("a\nb\u{1B}[31m", "a_b_[31m"), ("-rf", "_rf"),
    (".bashrc", "_bashrc"), ("..\u{301}", "_.\u{301}"), ("a\u{0}b", "a_b"), ("x/\u{301}..", "x_\u{301}.."),
    ("\u{202E}gpj.exe", "_gpj.exe"),
  ])
  func takesTheLastComponentAndDefusesIt(proposed: String, name: String) {
    #expect(SafeFileName(proposed: proposed, fallback: "unused").numbered(1) == name)
  }

  @Test(arguments: [nil, "", "/", ".", "..", "...", "a/..", "  ", "//"])
  func fallsBackWhenThereIsNoName(proposed: String?) {
    #expect(SafeFileName(proposed: proposed, fallback: "camera-front-4-17").numbered(1) == "camera-front-4-17")
  }

  @Test func numbersGoBeforeTheSuffix() {
    #expect(SafeFileName(proposed: "photo.jpg", fallback: "").numbered(2) == "photo-2.jpg")
    #expect(SafeFileName(proposed: "archive.tar.gz", fallback: "").numbered(3) == "archive.tar-3.gz")
    #expect(SafeFileName(proposed: "README", fallback: "").numbered(10) == "README-10")
  }

  @Test func longNamesFitTheFileSystemWithTheirNumber() {
    let long = SafeFileName(proposed: String(repeating: "ü", count: 300) + ".jpg", fallback: "")
    #expect(long.numbered(1).hasSuffix("ü.jpg"))
    #expect(long.numbered(999_999).utf8.count <= 255)
    let suffix = SafeFileName(proposed: "a." + String(repeating: "b", count: 400), fallback: "")
    #expect(suffix.numbered(999_999).utf8.count <= 255)
  }

  @Test func whatIsLongIsNoSuffix() {
    let name = "v1." + String(repeating: "x", count: 40)
    #expect(SafeFileName(proposed: name, fallback: "").numbered(1) == name)
    #expect(SafeFileName(proposed: name, fallback: "").numbered(2) == name + "-2")
  }

  @Test(arguments: ["t", "t."]) func ofALongFallbackTheEndStays(start: String) {
    let fallback = start + String(repeating: "ü", count: 300)
    let names = [17, 18].map { SafeFileName(proposed: nil, fallback: fallback, end: "-4-\($0)") }
    #expect(names[0].numbered(1).hasSuffix("ü-4-17"))
    #expect(names[1].numbered(1).hasSuffix("ü-4-18"))
    #expect(names[0].numbered(999_999).hasSuffix("ü-4-17-999999"))
    #expect(names.allSatisfy { $0.numbered(999_999).utf8.count <= 255 })
  }
}
