// Puts the local build where the package ships it: prebuilds/<platform>-<arch>[-musl]/handover.node
import { copyFileSync, mkdirSync } from 'node:fs'

const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined
const folder = `prebuilds/${process.platform}-${process.arch}${musl ? '-musl' : ''}`
mkdirSync(folder, { recursive: true })
copyFileSync('native/build/Release/handover.node', `${folder}/handover.node`)
console.log(`${folder}/handover.node`)
