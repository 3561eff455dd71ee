public import Foundation
import Synchronization

/// The local date and time that a chat template is told when it asks (`strftime_now`).
public struct TemplateDate: Equatable, Sendable, CustomStringConvertible {
    public let year: Int
    public let month: Int
    public let day: Int
    public let hour: Int
    public let minute: Int
    public let second: Int

    /// A moment in this machine's time zone.
    public init(_ date: Date) {
        let parts = Calendar(identifier: .gregorian)
            .dateComponents([.year, .month, .day, .hour, .minute, .second], from: date)
        (year, month, day) = (parts.year ?? 1970, parts.month ?? 1, parts.day ?? 1)
        (hour, minute, second) = (parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
    }

    /// A date as it is written here: `2026-03-07`, `2026-03-07T09:05` or `2026-03-07T09:05:02`; nil for anything else
    /// and for days that no calendar has.
    public init?(_ text: String) {
        let form = /(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?)?/
        guard let match = text.wholeMatch(of: form), let year = Int(match.1), let month = Int(match.2),
            let day = Int(match.3)
        else { return nil }
        func number(_ part: Substring?) -> Int { part.flatMap { Int($0) } ?? 0 }
        (self.year, self.month, self.day) = (year, month, day)
        (hour, minute, second) = (number(match.4), number(match.5), number(match.6))
        let parts = DateComponents(year: year, month: month, day: day)
        guard year >= 1, hour < 24, minute < 60, second < 60,
            parts.isValidDate(in: Calendar(identifier: .gregorian))
        else { return nil }
    }

    /// As ``init(_:)-(String)`` reads it, with the time.
    public var description: String {
        func padded(_ number: Int, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month))-\(padded(day))T\(padded(hour)):\(padded(minute)):\(padded(second))"
    }

    private static let shared = Mutex<TemplateDate?>(nil)

    /// The date that all prompts of this process are told where no other is given: the moment it was first asked for,
    /// so that it stays the same while the process runs, or what ``set(_:)`` set.
    public static var current: TemplateDate {
        shared.withLock { date in
            let known = date ?? TemplateDate(Date())
            date = known
            return known
        }
    }

    /// Sets ``current``; before the first prompt is laid out.
    public static func set(_ date: TemplateDate) { shared.withLock { $0 = date } }
}
