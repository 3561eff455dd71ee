import Foundation

/// The bytes of one record, with the line that it begins on (from 1 on).
struct RawRecord {
    let line: Int
    let bytes: Data
    /// Whether a newline, or the list that it is in, follows it: a line that was cut has none.
    let isTerminated: Bool
    /// Why it could not be read at all; `bytes` are empty then.
    var fault: String?
}

/// Splits a file into its records, one after the other: lines, or the elements of one JSON list.
///
/// Memory holds one record and one piece of the file. A record has at most ``limit`` bytes.
final class RecordReader {
    /// Bytes of the longest record: a conversation of millions of tokens fits.
    static let limit = 1 << 24

    private let path: String
    private let source: ByteSource
    /// What is read and not handed out begins at `start`.
    private var buffer: [UInt8] = []
    private var start = 0
    private var line = 1
    private var isDiscarding = false

    private enum Layout { case unknown, lines, list, afterList }
    private var layout: Layout

    /// - Parameter linesOnly: whether a list at the beginning is a line like any other.
    init(_ path: String, linesOnly: Bool = false) throws {
        self.path = path
        source = try ByteSource(path)
        layout = linesOnly ? .lines : .unknown
    }

    /// Of the unpacked bytes that were read: of the whole file after the last record.
    func sha256() -> String { source.sha256() }

    func close() { source.close() }

    /// The next record that is not blank; nil at the end.
    ///
    /// A line that is too long comes as a record with a fault; the next call goes on behind it.
    ///
    /// - Throws: ``RewardError`` for a file that cannot be read on.
    func next() throws -> RawRecord? {
        if case .unknown = layout { try findLayout() }
        switch layout {
        case .unknown, .lines: return try nextLine()
        case .list: return try nextElement()
        case .afterList:
            guard let place = try skipSpace() else { return nil }
            layout = .lines
            let isList = buffer[place] == UInt8(ascii: "[")
            throw bad(
                isList
                    ? "each line holds a list, and a record is an object; if it lists messages: jq -c '{messages: .}' "
                        + FileKind.quoted(path) + " > data.jsonl"
                    : "something follows the end of the list; give one list, or JSON lines")
        }
    }

    private func bad(_ reason: String) -> RewardError { .badData(path: path, line: line, reason: reason) }

    private func tooLong(_ line: Int) -> RawRecord {
        RawRecord(
            line: line, bytes: Data(), isTerminated: true,
            fault: "it is longer than \(Self.limit >> 20) MiB; give one record a line, or take this one out")
    }

    /// Reads one more piece behind what is left; false at the end.
    private func refill() throws -> Bool {
        if start > 0 {
            buffer.removeSubrange(..<start)
            start = 0
        }
        guard let piece = try source.next() else { return false }
        buffer += piece
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    /// The place of the next byte that is no space, to which everything is skipped; nil at the end.
    private func skipSpace() throws -> Int? {
        while true {
            while start < buffer.count {
                guard Self.isSpace(buffer[start]) else { return start }
                if buffer[start] == 0x0A { line += 1 }
                start += 1
            }
            guard try refill() else { return nil }
        }
    }

    private func findLayout() throws {
        while buffer.count < 3, try refill() {}
        if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
        layout = .lines
        guard let place = try skipSpace(), buffer[place] == UInt8(ascii: "[") else { return }
        layout = .list
        start = place + 1
    }

    // MARK: Lines

    private func nextLine() throws -> RawRecord? {
        while let record = try anyLine() {
            if record.fault != nil || !record.bytes.allSatisfy(Self.isSpace) { return record }
        }
        return nil
    }

    private func anyLine() throws -> RawRecord? {
        var searched = start
        while true {
            if let end = newline(from: searched) {
                let (first, number) = (start, line)
                start = end + 1
                searched = start
                line += 1
                if isDiscarding {
                    isDiscarding = false
                } else if end - first > Self.limit {
                    return tooLong(number)
                } else {
                    return RawRecord(line: number, bytes: Data(buffer[first..<end]), isTerminated: true)
                }
                continue
            }
            if isDiscarding {
                start = buffer.count
            } else if buffer.count - start > Self.limit {
                isDiscarding = true
                return tooLong(line)
            }
            searched = buffer.count - start
            guard try refill() else {
                let rest = isDiscarding ? [] : buffer[start...]
                start = buffer.count
                return rest.isEmpty ? nil : RawRecord(line: line, bytes: Data(rest), isTerminated: false)
            }
        }
    }

    private func newline(from place: Int) -> Int? {
        buffer.withUnsafeBytes { bytes in
            guard place < bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + place, 0x0A, bytes.count - place)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    // MARK: Elements of a list

    private func nextElement() throws -> RawRecord? {
        while let place = try skipSpace(), buffer[place] == UInt8(ascii: ",") { start += 1 }
        guard let place = try skipSpace() else { throw bad("the list is not closed; the file is cut") }
        if buffer[place] == UInt8(ascii: "]") {
            start = place + 1
            layout = .afterList
            return try next()
        }
        let first = line
        var (offset, depth, inString, escaped, newlines) = (0, 0, false, false, 0)
        while true {
            while start + offset < buffer.count {
                let byte = buffer[start + offset]
                if byte == 0x0A { newlines += 1 }
                if inString {
                    if escaped {
                        escaped = false
                    } else if byte == UInt8(ascii: "\\") {
                        escaped = true
                    } else if byte == UInt8(ascii: "\"") {
                        inString = false
                    }
                } else if byte == UInt8(ascii: "\"") {
                    inString = true
                } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                    depth += 1
                } else if depth > 0, byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                    depth -= 1
                } else if depth == 0, byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") {
                    let bytes = Data(buffer[start..<(start + offset)])
                    start += offset
                    line += newlines
                    return RawRecord(line: first, bytes: bytes, isTerminated: true)
                }
                offset += 1
            }
            guard offset <= Self.limit else {
                throw bad(
                    "the element of the list is longer than \(Self.limit >> 20) MiB, or its brackets do not match")
            }
            guard try refill() else {
                if depth == 0, !inString { throw bad("the list is not closed; the file is cut") }
                throw bad("the list's element that begins here is not closed; the file is cut, or a quote is missing")
            }
        }
    }
}
