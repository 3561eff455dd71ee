import Foundation

/// How numbers are printed: the only place of the project that holds a C format string.
///
/// The conversions are members of `Double` alone, so that an integer, whose bits a C format string would read as another
/// argument, does not compile. A decimal point is a point in every locale.
extension Double {
    /// Rounded to `digits` digits after the point: 2.5 with 3 is "2.500".
    ///
    /// - Parameters:
    ///   - digits: at least 0; none leaves the point out.
    ///   - width: blanks go in front until the text has so many characters.
    ///   - signed: whether a positive number and zero get a "+".
    package func fixed(_ digits: Int, width: Int = 0, signed: Bool = false) -> String {
        converted("\(signed ? "+" : "")\(max(0, width)).\(max(0, digits))f")
    }

    /// Rounded to `digits` significant digits, without trailing zeros, with an exponent where that is shorter: 0.25 with
    /// 3 is "0.25", 1234567 is "1.23e+06".
    ///
    /// - Parameters:
    ///   - digits: at least 1.
    ///   - signed: whether a positive number and zero get a "+".
    package func significant(_ digits: Int = 6, signed: Bool = false) -> String {
        converted("\(signed ? "+" : "").\(max(1, digits))g")
    }

    private func converted(_ conversion: String) -> String { String(format: "%" + conversion, self) }
}
