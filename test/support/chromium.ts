// Opens pages in the Chromium of this machine, and remembers what they complain about and ask for.
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";

const usualPlaces = [
  process.env["CHROMIUM"] ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** null: there is none; CHROMIUM names one elsewhere. */
export const chromiumPath = usualPlaces.find((path) => path !== "" && existsSync(path)) ?? null;

export interface OpenPage {
  readonly page: Page;
  /** Console messages of every kind, and errors that nobody caught. */
  readonly complaints: readonly string[];
  /** Addresses asked for beside the page itself. */
  readonly requests: readonly string[];
}

/** The caller closes it. */
export function startChromium(): Promise<Browser> {
  // As root in a container there is no sandbox to be had; pages are our own.
  return chromium.launch({ executablePath: chromiumPath ?? "", args: ["--no-sandbox"] });
}

/** Opens a file in a window of its own, as its reader would. */
export async function openFile(
  browser: Browser,
  file: string,
  view: { readonly width: number; readonly scheme: "light" | "dark" },
): Promise<OpenPage> {
  const address = pathToFileURL(file).href;
  const page = await browser.newPage({ viewport: { width: view.width, height: 900 }, colorScheme: view.scheme });
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (request.url() !== address) requests.push(request.url());
  });
  await page.goto(address);
  return { page, complaints, requests };
}
