"use strict";
// Every text that comes from elsewhere is put on the page by textContent, never as HTML.
const at = (id) => document.getElementById(id);
let model = null;
let latest = 0;

function made(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

async function ask(body, type) {
  const turn = ++latest;
  at("error").textContent = "";
  at("time").textContent = "Asking the model …";
  let found;
  try {
    const got = await fetch("api/predict", { method: "POST", headers: { "Content-Type": type }, body });
    found = await got.json();
  } catch {
    found = { error: "ripen serve does not answer. Is it still running?" };
  }
  if (turn !== latest) return;
  if (found.error) refuse(found.error);
  else show(found);
}

// What is shown belongs to an answer: without one there is none.
function refuse(error) {
  latest++;
  at("answer").hidden = at("image").hidden = true;
  at("invite").hidden = false;
  at("time").textContent = "";
  at("error").textContent = error;
}

function show(found) {
  const top = found.top.map(({ name, probability }) => {
    const row = made("tr"), bar = made("td", undefined, "bar"), meter = made("meter");
    meter.value = probability;
    bar.append(meter);
    row.append(made("td", name), made("td", (100 * probability).toFixed(1) + "%", "number"), bar);
    return row;
  });
  const values = found.values.map(({ name, value }) => {
    const row = made("tr");
    row.append(made("td", name), made("td", String(Number(value.toPrecision(6))), "number"));
    return row;
  });
  at("rows").replaceChildren(...top, ...values);
  at("notes").replaceChildren(...found.notes.map((note) => made("li", note)));
  at("looks").hidden = !found.seen;
  if (found.seen) at("seen").src = found.seen;
  at("decides").hidden = !found.saliency;
  if (found.saliency) at("saliency").src = found.saliency;
  at("answer").hidden = false;
  at("time").textContent = `Answered in ${(1000 * found.seconds).toFixed(0)} ms.`;
}

function take(file) {
  if (!file) return refuse("No file came with it. Save the image, and drop the file here.");
  if (file.size > model.largest) {
    return refuse(`The image has more than ${model.largest / 2 ** 20} MiB.`);
  }
  const image = at("image");
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.hidden = false;
  at("invite").hidden = true;
  ask(file, file.type.startsWith("image/") ? file.type : "application/octet-stream");
}

function takeImages() {
  const drop = at("drop");
  drop.hidden = false;
  at("file").addEventListener("change", (event) => {
    if (event.target.files.length) take(event.target.files[0]); // none: the choice was called off
  });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
  document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
}

function control(field) {
  const input = made(field.levels.length ? "select" : "input");
  if (field.levels.length) {
    input.append(new Option("(blank)", ""), ...field.levels.map((level) => new Option(level, level)));
  } else if (field.kind === "number") {
    input.inputMode = "decimal";
  }
  input.name = field.name;
  input.value = field.usual;
  return input;
}

function takeRows() {
  for (const field of model.fields) {
    const label = made("label", field.name);
    label.append(control(field));
    if (field.least !== null) {
      const ends = [field.least, field.most].map((end) => Number(end.toPrecision(6)));
      label.append(made("span", `${ends[0]} to ${ends[1]}`, "range"));
    }
    at("fields").append(label);
  }
  at("form").hidden = false;
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const row = {};
    for (const each of at("fields").querySelectorAll("input, select")) row[each.name] = each.value;
    ask(JSON.stringify(row), "application/json");
  });
}

async function start() {
  model = await (await fetch("api/model")).json();
  document.title = `${model.title} · ripen`;
  at("title").textContent = model.title;
  at("about").textContent = model.about;
  if (model.takes === "image") takeImages();
  else takeRows();
}

start().catch(() => { at("error").textContent = "ripen serve does not answer. Is it still running?"; });
