// Pictures that look like what they stand for, drawn in a page of the browser.

/** Runs `draw(pen, width, height, word)` on a canvas; answers a PNG. */
async function drawn(browser, [width, height], draw, word) {
  const page = await browser.newPage();
  const url = await page.evaluate(({ width: w, height: h, draw: source, word: text }) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: w, height: h });
    new Function(`return ${source}`)()(canvas.getContext("2d"), w, h, text);
    return canvas.toDataURL("image/png");
  }, { width, height, draw: draw.toString(), word });
  await page.close();
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/** A certificate of nobody, with `title` on it. */
export const certificate = (browser, size, title) => drawn(browser, size, (pen, width, height, word) => {
  pen.fillStyle = "#f7f3e8";
  pen.fillRect(0, 0, width, height);
  pen.strokeStyle = "#a8752a";
  for (const [inset, line] of [[12, 6], [24, 1.5]]) {
    pen.lineWidth = line;
    pen.strokeRect(inset, inset, width - 2 * inset, height - 2 * inset);
  }
  pen.fillStyle = "#7a1f1f";
  pen.textAlign = "center";
  pen.font = "bold 30px 'Noto Serif CJK SC', serif";
  pen.fillText(word, width / 2, height * 0.3);
  pen.fillStyle = "#55503f";
  for (let n = 0; n < 4; n += 1) pen.fillRect(width * 0.18, height * (0.46 + n * 0.08), width * (n % 2 ? 0.42 : 0.56), 5);
  pen.strokeStyle = "#b93232";
  pen.lineWidth = 3;
  pen.beginPath();
  pen.arc(width * 0.76, height * 0.76, Math.min(width, height) * 0.11, 0, 2 * Math.PI);
  pen.stroke();
  pen.fillStyle = "#b93232";
  pen.font = "bold 20px 'Noto Sans CJK SC', sans-serif";
  pen.fillText("样张", width * 0.76, height * 0.76 + 7);
}, title);

/** A night's blood oxygen, as a patient's screen shows it. */
export const night = (browser) => drawn(browser, [560, 360], (pen, width, height) => {
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = "#17262d";
  pen.font = "bold 22px 'Noto Sans CJK SC', sans-serif";
  pen.fillText("昨晚血氧", 24, 42);
  pen.fillStyle = "#5f717a";
  pen.font = "15px 'Noto Sans CJK SC', sans-serif";
  pen.fillText("23:10 – 06:40 · 平均 95%", 24, 68);
  const at = (n) => height * 0.36 + 26 * Math.sin(n / 9) ** 2 + (n % 37 > 30 ? 70 : 0) + 6 * Math.sin(n * 1.7);
  pen.strokeStyle = "#e1e8eb";
  pen.lineWidth = 1;
  ["100", "90", "80"].forEach((level, n) => {
    const y = height * (0.3 + n * 0.24);
    pen.beginPath();
    pen.moveTo(64, y);
    pen.lineTo(width - 20, y);
    pen.stroke();
    pen.fillText(level, 24, y + 5);
  });
  ["23", "01", "03", "05"].forEach((hour, n) => pen.fillText(`${hour}:00`, 72 + n * 128, height - 22));
  pen.strokeStyle = "#0b7a75";
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.beginPath();
  for (let n = 0; n <= 160; n += 1) pen.lineTo(66 + (n / 160) * (width - 90), at(n));
  pen.stroke();
});
