import Foundation

/// Files that people have data in, and that hold no JSON: each is refused by its name, with a command that converts it.
enum FileKind {
    /// First bytes, what such a file is, and how to convert it; FILE stands for its path.
    private static let signatures: [(bytes: [UInt8], name: String, advice: String)] = [
        (Array("PAR1".utf8), "a Parquet table", pandas("read_parquet")),
        (Array("ARROW1".utf8), "an Arrow table", pandas("read_feather")),
        ([0xFF, 0xFF, 0xFF, 0xFF], "an Arrow stream", datasets),
        ([0x28, 0xB5, 0x2F, 0xFD], "packed with zstd", "unpack it: zstd -dc FILE > data.jsonl"),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "packed with xz", "unpack it: xz -dc FILE > data.jsonl"),
        (Array("BZh".utf8), "packed with bzip2", "unpack it: bzip2 -dc FILE > data.jsonl"),
        ([0x50, 0x4B, 0x03, 0x04], "a ZIP archive or an Excel workbook", "unpack it: unzip -p FILE > data.jsonl"),
        ([0x37, 0x7A, 0xBC, 0xAF], "a 7-Zip archive", "unpack it: 7z x FILE"),
        ([0x1F, 0x8B], "packed twice with gzip", "unpack it: gzip -dc FILE > data.jsonl.gz"),
        ([0x80, 0x04, 0x95], "a Python pickle", pandas("read_pickle")),
        ([0x89, 0x48, 0x44, 0x46], "an HDF5 file", pandas("read_hdf")),
        (Array("SQLite format 3".utf8), "an SQLite database", "give JSON lines"),
        (Array("GGUF".utf8), "a GGUF model file", "give JSON lines of data"),
        ([0xFF, 0xFE], "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE > data.jsonl"),
        ([0xFE, 0xFF], "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE > data.jsonl"),
        (
            Array("version https://git-lfs".utf8), "a Git LFS pointer, not the data",
            "bring the data with git lfs pull, or download the file itself"
        ),
    ]

    private static let datasets =
        "convert it: python3 -c 'import sys, datasets; datasets.Dataset.from_file(sys.argv[1]).to_json(sys.argv[2])' "
        + "FILE data.jsonl"

    private static func pandas(_ function: String) -> String {
        "convert it: python3 -c 'import sys, pandas; pandas.\(function)(sys.argv[1]).to_json(sys.argv[2], "
            + "orient=\"records\", lines=True)' FILE data.jsonl"
    }

    /// Column names that tell a table from text with commas.
    private static let columns: Set<String> = [
        "prompt", "chosen", "rejected", "text", "label", "response", "completion", "question", "answer", "instruction",
        "input", "output", "messages",
    ]

    /// - Parameter head: the first bytes, unpacked.
    /// - Throws: ``RewardError/tooLittleData(path:reason:)`` with the kind of the file and how to convert it.
    static func check(_ head: Data, path: String) throws {
        func refuse(_ name: String, _ advice: String) -> RewardError {
            .tooLittleData(
                path: path,
                reason: "this is \(name), and JSON lines are read; \(advice.replacing("FILE", with: quoted(path)))")
        }
        for (bytes, name, advice) in signatures where head.starts(with: bytes) { throw refuse(name, advice) }
        // No text holds a zero byte; UTF-16 without a mark has one in every other place.
        if let zero = head.firstIndex(of: 0) {
            let isWide =
                head.count > 3 && zero - head.startIndex < 2 && head[head.startIndex + (zero == 0 ? 1 : 0)] != 0
            throw isWide
                ? refuse(
                    "UTF-16 text", "convert it: iconv -f UTF-16\(zero == 0 ? "BE" : "LE") -t UTF-8 FILE > data.jsonl")
                : refuse("binary data (byte \(zero - head.startIndex + 1) is zero)", "give a text file")
        }
        let text = String(decoding: head, as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
        guard let first = text.first, first != "{", first != "[" else { return }
        if first == "<" {
            throw refuse("a web page or XML, not the data", "download the file itself, where need be after logging in")
        }
        let line = text.prefix { !$0.isNewline }
        for separator in [",", "\t", ";"] as [Character] {
            let names = line.split(separator: separator, omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: "\"' ")).lowercased()
            }
            let isNamed = path.lowercased().replacing(/\.gz$/, with: "").contains(/\.(csv|tsv)$/)
            guard names.count > 1, isNamed || names.contains(where: columns.contains) else { continue }
            let delimiter = separator == "\t" ? "\\t" : String(separator)
            throw refuse(
                separator == "\t" ? "a table of tab-separated values (TSV)" : "a table of comma-separated values (CSV)",
                "convert it: python3 -c 'import csv, json, sys; [print(json.dumps(r)) for r in "
                    + "csv.DictReader(open(sys.argv[1], newline=\"\"), delimiter=\"\(delimiter)\")]' FILE > data.jsonl")
        }
        if path.hasSuffix(".gz") {
            throw RewardError.tooLittleData(
                path: path, reason: "gzip cannot unpack it: it is no gzip file, whatever its name says; get it again")
        }
    }

    /// A path as the shell reads it.
    static func quoted(_ path: String) -> String {
        path.contains(/[^A-Za-z0-9_.\/+,@%-]/) ? "'" + path.replacing("'", with: "'\\''") + "'" : path
    }
}
