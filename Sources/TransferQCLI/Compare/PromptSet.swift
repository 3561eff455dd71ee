import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQRewards

/// A file of prompts to compare methods on.
struct PromptSetOptions: ParsableArguments {
    @Option(help: "Compare on many prompts: JSON lines with a prompt, or data of prompts with answers.")
    var prompts: String?

    @Option(help: .rare("Use the first so many prompts only."))
    var limit: Int?

    @Option(
        help: """
            Append every answer to this file as a JSON line. A run that was cut goes on where it was, and another run may \
            add methods, prompts and seeds.
            """)
    var output: String?

    @OptionGroup var records: RecordFileOptions

    func validate() throws {
        if let limit, limit < 2 { throw ValidationError("--limit must be at least 2, not \(limit)") }
        if prompts == nil, limit != nil || output != nil || !records.isDefault {
            throw ValidationError("--limit, --output, --skip-broken and --ignore-key go with --prompts FILE")
        }
    }
}
