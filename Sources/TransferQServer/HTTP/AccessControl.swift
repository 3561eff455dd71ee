import Foundation
import HTTPTypes
import Hummingbird

/// Who may ask: those with a key, where keys are asked for; otherwise those on this machine, and no page that another site
/// has put into a browser here.
struct AccessControl: RouterMiddleware {
    /// Nil where none is asked for.
    let keys: APIKeys?
    /// Whether only names of this machine may stand in `Host`, which keeps names out that another site points at this address.
    let isLocal: Bool

    private static let open: Set<String> = ["/", "/openapi.json", "/health", "/health/live", "/health/ready"]

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let path = request.uri.path
        if let keys {
            if !Self.open.contains(path), !path.hasPrefix("/playground/") {
                guard let given = request.headers[.authorization], keys.contains(bearer: given) else {
                    throw APIError(
                        .unauthorized, "this server asks for a key; send the header Authorization: Bearer KEY",
                        code: "invalid_api_key")
                }
            }
        } else if isLocal, let authority = request.head.authority, !Self.isLocalName(authority) {
            throw APIError(
                .forbidden,
                "this server listens on this machine only and was asked as \"\(authority.prefix(100))\"; ask it "
                    + "as localhost, or start it with --api-key-file", code: "wrong_host")
        }
        return try await next(request, context)
    }

    /// - Parameter authority: a name or an address, with or without a port.
    static func isLocalName(_ authority: String) -> Bool {
        let host =
            authority.hasPrefix("[")
            ? String(authority.dropFirst().prefix { $0 != "]" }) : String(authority.prefix { $0 != ":" })
        return ["localhost", "::1"].contains(host.lowercased()) || host.wholeMatch(of: /127(?:\.\d{1,3}){3}/) != nil
    }
}

/// Keys that clients may send, read from a file with one on each line.
public struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    /// - Parameter text: lines that begin with # are comments.
    /// - Returns: nil where there is no key in it, or one that no header can hold.
    public init?(_ text: String) {
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        keys = lines.filter { !$0.isEmpty && !$0.hasPrefix("#") }.map { Array($0.utf8) }
        guard !keys.isEmpty, keys.allSatisfy({ $0.allSatisfy { $0 > 0x20 && $0 < 0x7F } }) else { return nil }
    }

    /// - Parameter header: `Bearer KEY`.
    func contains(bearer header: String) -> Bool {
        guard header.prefix(7).lowercased() == "bearer " else { return false }
        let given = Array(header.dropFirst(7).utf8)
        // All keys are looked at in full, so that the time tells nothing of them.
        return keys.reduce(false) { found, key in Self.areEqual(key, given) || found }
    }

    private static func areEqual(_ key: [UInt8], _ given: [UInt8]) -> Bool {
        var difference = key.count ^ given.count
        for (index, byte) in key.enumerated() { difference |= Int(byte ^ (index < given.count ? given[index] : 0)) }
        return difference == 0
    }
}
