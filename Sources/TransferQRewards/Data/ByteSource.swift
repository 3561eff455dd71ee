import Foundation
import TransferQ
import TransferQDigest

/// The bytes of a file, piece by piece; a file that gzip packed is unpacked on the way, by the system's gzip through a
/// pipe, so that nothing of its size is kept in memory or on disk.
final class ByteSource {
    /// The first bytes of what the file holds, unpacked: what kind of file it is.
    private(set) var head = Data()

    private let path: String
    private let file: FileHandle
    private var unpacker: (process: Process, output: FileHandle, complaints: Pipe)?
    private var isAtEnd = false
    private var hasher = SHA256()

    private static let pieceSize = 1 << 18
    private static let headSize = 512

    /// - Throws: ``RewardError`` for what cannot be opened, and for files that are packed otherwise or hold no text
    ///   (``FileKind``).
    init(_ path: String) throws {
        self.path = path
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw RewardError.tooLittleData(path: path, reason: "this is a folder; name a file in it")
        }
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw RewardError.tooLittleData(path: path, reason: "there is no such file, or it cannot be read")
        }
        self.file = file
        try fillHead()
        guard head.starts(with: [0x1F, 0x8B]) else {
            try FileKind.check(head, path: path)
            return
        }
        try unpack()
        try fillHead()
        try FileKind.check(head, path: path)
    }

    deinit { close() }

    /// The next piece, at most 256 KiB; nil at the end.
    ///
    /// - Throws: ``RewardError`` when reading fails, or when gzip finds the file damaged or cut.
    func next() throws -> Data? {
        guard head.isEmpty else {
            defer { head = Data() }
            hasher.update(data: head)
            return head
        }
        guard let piece = try readPiece() else { return nil }
        hasher.update(data: piece)
        return piece
    }

    /// SHA-256 of all that has been handed out since the last call, as hexadecimal digits: of the unpacked bytes.
    func sha256() -> String {
        var finished = SHA256()
        swap(&finished, &hasher)
        return finished.finalize().hexadecimal
    }

    /// Ends reading early. gzip ends by itself when nobody reads what it writes; a signal might never reach it, because a
    /// program inherits which signals are blocked.
    func close() {
        isAtEnd = true
        guard let running = unpacker else { return }
        unpacker = nil
        // What cannot be closed was closed before.
        try? running.output.close()
        running.process.waitUntilExit()
    }

    private func fillHead() throws {
        head = Data()
        while head.count < Self.headSize, let piece = try readPiece() { head += piece }
    }

    private func readPiece() throws -> Data? {
        guard !isAtEnd else { return nil }
        let descriptor = (unpacker?.output ?? file).fileDescriptor
        var piece = Data(count: Self.pieceSize)
        var received = -1
        repeat {
            received = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        } while received < 0 && errno == EINTR
        guard received >= 0 else {
            throw RewardError.tooLittleData(
                path: path, reason: "it cannot be read (\(String(cString: strerror(errno))))")
        }
        if received > 0 { return piece.prefix(received) }
        isAtEnd = true
        try checkUnpacker()
        return nil
    }

    private func unpack() throws {
        // gzip reads the file from its beginning; what comes through a pipe has none any more.
        guard lseek(file.fileDescriptor, 0, SEEK_SET) == 0 else {
            throw RewardError.tooLittleData(
                path: path, reason: "it is packed and comes through a pipe; put gzip -dc into the pipe")
        }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc"]
        let (output, complaints) = (Pipe(), Pipe())
        process.standardInput = file
        process.standardOutput = output
        process.standardError = complaints
        do { try process.run() } catch {
            throw RewardError.tooLittleData(
                path: path, reason: "gzip cannot be started to unpack it; install gzip, or unpack the file")
        }
        unpacker = (process, output.fileHandleForReading, complaints)
        isAtEnd = false
    }

    /// What gzip says once all is read: a file that is cut or damaged shows only at its end.
    private func checkUnpacker() throws {
        guard let running = unpacker else { return }
        unpacker = nil
        let complaints = String(
            decoding: running.complaints.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        running.process.waitUntilExit()
        guard running.process.terminationStatus == 0 else {
            let said = complaints.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { !$0.isEmpty }.joined(separator: " ")
            throw RewardError.tooLittleData(
                path: path,
                reason: "gzip cannot unpack it\(said.isEmpty ? "" : " (\(said))"); it is cut or damaged: get it again")
        }
    }
}
