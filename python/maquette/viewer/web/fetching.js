/** Downloads with progress, and errors that say what to do. */

import { Problem, fileName, refusal, tooLarge, unreachable } from "./problems.js";

const GIGABYTE = 1e9;
const SHARE = 0.3; // of a device's memory that one file may take; it is held twice while it is read

/** The largest file that is tried here, bytes. Browsers tell at most 8 GB. */
export function limitBytes() {
    return Math.min(2 * GIGABYTE, SHARE * (navigator.deviceMemory ?? 8) * GIGABYTE);
}

const begun = new Map(); // address → answer that is on its way

/** Begin a download that `fetchBytes` takes over. */
export function beginDownload(url) {
    const answer = fetch(url);
    answer.catch(() => {}); // who takes it over tells of it
    begun.set(url, answer);
}

async function request(url) {
    let response;
    const early = begun.get(url);
    begun.delete(url);
    try {
        response = await (early ?? fetch(url));
    } catch {
        throw unreachable(url);
    }
    if (!response.ok) throw refusal(response.status, url);
    return response;
}

/**
 * Fetch a file.
 *
 * @param {string} url
 * @param {number} expected - Its bytes as the manifest tells, 0 where it does not.
 * @param {(share: number) => void} onProgress - Called with 0…1 as bytes come.
 * @returns {Promise<ArrayBuffer>}
 */
export async function fetchBytes(url, expected = 0, onProgress = () => {}) {
    if (expected > limitBytes()) throw tooLarge(fileName(url), expected);
    const response = await request(url);
    const isPacked = response.headers.has("content-encoding");
    const told = isPacked ? 0 : Number(response.headers.get("content-length")) || 0;
    const total = told || expected;
    if (total > limitBytes()) throw tooLarge(fileName(url), total);
    const chunks = await readChunks(response, url, (bytes) => {
        if (bytes > limitBytes()) throw tooLarge(fileName(url), bytes);
        onProgress(total ? Math.min(1, bytes / total) : 0);
    });
    const received = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    if (told && received !== told) throw broken(url, received, told);
    onProgress(1);
    return joined(chunks, received, url);
}

async function readChunks(response, url, onBytes) {
    const reader = response.body.getReader();
    const chunks = [];
    let bytes = 0;
    for (;;) {
        let step;
        try {
            step = await reader.read();
        } catch {
            throw broken(url, bytes, Number(response.headers.get("content-length")));
        }
        if (step.done) return chunks;
        chunks.push(step.value);
        bytes += step.value.byteLength;
        onBytes(bytes);
    }
}

function joined(chunks, length, url) {
    try {
        const bytes = new Uint8Array(length);
        let offset = 0;
        for (const chunk of chunks) {
            bytes.set(chunk, offset);
            offset += chunk.byteLength;
        }
        return bytes.buffer;
    } catch {
        throw tooLarge(fileName(url), length);
    }
}

function broken(url, received, total) {
    const share = total ? ` after ${Math.floor((100 * received) / total)} %` : "";
    return new Problem(
        `The download of ${fileName(url)} broke off${share}.`,
        "Check the connection, then load the page again.",
    );
}

/** Fetch and read a JSON file. */
export async function fetchJson(url) {
    const response = await request(url);
    const text = await response.text().catch(() => {
        throw broken(url, 0, 0);
    });
    try {
        return JSON.parse(text);
    } catch {
        const seen = text.trim().slice(0, 40);
        throw new Problem(
            `${fileName(url)} is not JSON: it begins with “${seen}”.`,
            "manifest= must name a scene's manifest.json.",
        );
    }
}
