import { createHash } from 'node:crypto'
import { MARKUP, SIGN_IN_MARKUP } from './markup.js'
import { SCRIPT } from './script.js'
import { STYLE } from './style.js'

/** A document, and the policy under which a browser shows it: nothing but what is in it, by its digest. */
export interface Page {
  html: string
  policy: string
}

export const page: Page = document(MARKUP, SCRIPT)

const signIn = [false, true].map((wrong) => document(SIGN_IN_MARKUP(wrong), null)) as [Page, Page]

/** @param wrong  a token was given that is not the right one */
export function signInPage(wrong: boolean): Page {
  return signIn[wrong ? 1 : 0]
}

/** @see https://www.w3.org/TR/CSP3/ */
function document(markup: string, script: string | null): Page {
  const policy = [
    "default-src 'none'",
    `style-src ${digest(STYLE)}`,
    `script-src ${script === null ? "'none'" : digest(script)}`,
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  const html = [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark"><title>handover</title>',
    `<style>${STYLE}</style></head><body>${markup}`,
    script === null ? '' : `<script>${script}</script>`,
    '</body></html>\n',
  ].join('')
  return { html, policy }
}

function digest(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
