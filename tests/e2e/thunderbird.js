/* What the tests ask of Thunderbird, inside it: the same modules that its windows use. Each function gets one object and returns plain data;
 * thunderbird.py puts the call at the end. */
"use strict";
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");
const { ConfigVerifier } = ChromeUtils.importESModule("resource:///modules/accountcreation/ConfigVerifier.sys.mjs");
const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");

/* The first true value of CONDITION(), tried for twenty seconds. */
async function until(condition, what) {
  for (let i = 0; i < 200; i++) {
    const value = await condition();
    if (value) {
      return value;
    }
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error("not within 20 s: " + what);
}

/* Runs START(listener) and waits until the URL that it began has ended well. */
function url(start) {
  return new Promise((resolve, reject) => start({
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
    OnStartRunningUrl() {},
    OnStopRunningUrl(_, status) {
      Components.isSuccessCode(status) ? resolve() : reject(new Error("status 0x" + status.toString(16)));
    },
  }));
}

/* Runs START(listener) and waits until the copy that it began has ended well. */
function copied(start) {
  return new Promise((resolve, reject) => start({
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
    onStartCopy() {},
    onProgress() {},
    setMessageKey() {},
    getMessageId() { return ""; },
    onStopCopy(status) {
      Components.isSuccessCode(status) ? resolve() : reject(new Error("status 0x" + status.toString(16)));
    },
  }));
}

function account(address) {
  return MailServices.accounts.accounts.find(a => a.defaultIdentity?.email == address);
}

function root(address) {
  return account(address).incomingServer.rootFolder;
}

function find(address, name) {
  return root(address).descendants.find(f => f.name == name || f.prettyPath == name);
}

async function folder(address, name) {
  return until(() => find(address, name), `folder ${name}`);
}

/* The message of SUBJECT in folder NAME, asked of the server until it is there. */
async function message(address, name, subject) {
  const where = await folder(address, name);
  return until(async () => {
    where.updateFolder(null);
    return [...where.messages].find(m => m.mime2DecodedSubject == subject);
  }, `"${subject}" in ${name}`);
}

/* Says yes in the dialogue that asks which certificate to show a server. Lives as long as the call: its sandbox ends then. */
function showCertificate(dialog) {
  dialog.acceptDialog();
}

async function run(name, argument) {
  Services.obs.addObserver(showCertificate, "cert-dialog-loaded");
  try {
    return { value: await calls[name](argument) };
  } catch (e) {
    return { error: `${e}\n${e.stack}` };
  } finally {
    Services.obs.removeObserver(showCertificate, "cert-dialog-loaded");
  }
}

const calls = {
  /* The account as the set-up dialogue makes it: the settings are tried with a login first. */
  async setUp({ address, password, imap, smtp, socket, method }) {
    const config = new AccountConfig();
    const both = {
      hostname: "localhost", username: address, password, socketType: Ci.nsMsgSocketType[socket],
      auth: Ci.nsMsgAuthMethod[method],
    };
    Object.assign(config.incoming, both, { type: "imap", port: imap });
    Object.assign(config.outgoing, both, { type: "smtp", port: smtp, addThisServer: true });
    config.identity = { realname: address.split("@")[0], emailAddress: address };
    config.rememberPassword = true;
    try {
      await new ConfigVerifier(null, new AbortController().signal).verifyConfig(config);
    } catch (e) {
      return "refused";
    }
    const made = await CreateInBackend.createAccountInBackend(config);
    made.incomingServer.performExpand(null);
    await folder(address, "INBOX");
    return "ready";
  },

  expand({ address }) {
    account(address).incomingServer.performExpand(null);
    return null;
  },

  folders({ address }) {
    return root(address).descendants.map(f => f.prettyPath);
  },

  /* Writes in the composition window and sends with its command; returns when the window has closed itself. */
  async send({ address, to, subject, body, html, attachment }) {
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { to, subject, body });
    if (attachment) {
      const a = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
      a.url = Services.io.newFileURI(await IOUtils.getFile(attachment)).spec;
      a.name = PathUtils.filename(attachment);
      fields.addAttachment(a);
    }
    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    params.type = Ci.nsIMsgCompType.New;
    params.format = html ? Ci.nsIMsgCompFormat.HTML : Ci.nsIMsgCompFormat.PlainText;
    params.identity = account(address).defaultIdentity;
    params.composeFields = fields;
    const opened = new Promise(resolve => {
      Services.obs.addObserver(function seen(window) {
        Services.obs.removeObserver(seen, "toplevel-window-ready");
        window.addEventListener("compose-editor-ready", () => resolve(window), { once: true });
      }, "toplevel-window-ready");
    });
    MailServices.compose.OpenComposeWindowWithParams(null, params);
    const window = await opened;
    const closed = new Promise(resolve => window.addEventListener("unload", resolve, { once: true }));
    window.goDoCommand("cmd_sendNow");
    await closed;
    return null;
  },

  async count({ address, name }) {
    const where = await folder(address, name);
    where.updateFolder(null);
    return [...where.messages].length;
  },

  /* Waits without asking the server: only what IDLE announced is seen. */
  async waitAnnounced({ address, name, subject }) {
    const where = await folder(address, name);
    await until(() => [...where.messages].some(m => m.mime2DecodedSubject == subject), `"${subject}" announced in ${name}`);
    return null;
  },

  async open({ address, name }) {
    const where = await folder(address, name);
    where.updateFolder(null);
    return null;
  },

  async read({ address, name, subject }) {
    const header = await message(address, name, subject);
    const mime = await new Promise(resolve => MsgHdrToMimeMessage(header, null, (_, m) => resolve(m), true, { partsOnDemand: false }));
    return {
      author: header.mime2DecodedAuthor,
      subject: header.mime2DecodedSubject,
      body: mime.coerceBodyToPlaintext(header.folder),
      attachments: mime.allUserAttachments.map(a => [a.name, a.contentType, a.size]),
    };
  },

  async flags({ address, name, subject }) {
    const m = await message(address, name, subject);
    return { read: m.isRead, flagged: m.isFlagged, keywords: m.getStringProperty("keywords"), answered: !!(m.flags & Ci.nsMsgMessageFlags.Replied) };
  },

  async mark({ address, name, subject, read, flagged, keyword }) {
    const m = await message(address, name, subject);
    if (read !== undefined) {
      m.folder.markMessagesRead([m], read);
    }
    if (flagged !== undefined) {
      m.folder.markMessagesFlagged([m], flagged);
    }
    if (keyword) {
      m.folder.addKeywordsToMessages([m], keyword);
    }
    return null;
  },

  async createFolder({ address, parent, name }) {
    const above = parent ? await folder(address, parent) : root(address);
    above.createSubfolder(name, null);
    await folder(address, name);
    return null;
  },

  /* Local folders "Work" and below it "Projects" with messages of SUBJECTS each, the first read, the second flagged and with a keyword, the third answered; each
   * with the fields that Thunderbird writes at delivery and changes afterwards. The path of the directory that they are in. */
  async localFolders({ subjects }) {
    const accounts = MailServices.accounts;
    try {
      accounts.localFoldersServer.type;
    } catch {
      accounts.createLocalMailAccount();
    }
    const top = accounts.localFoldersServer.rootFolder.QueryInterface(Ci.nsIMsgLocalMailFolder);
    const work = top.createLocalSubfolder("Work").QueryInterface(Ci.nsIMsgLocalMailFolder);
    const projects = work.createLocalSubfolder("Projects").QueryInterface(Ci.nsIMsgLocalMailFolder);
    for (const folder of [work, projects]) {
      const messages = subjects.map(subject => folder.addMessage(
        `X-Mozilla-Status: 0000\r\nX-Mozilla-Status2: 00000000\r\nX-Mozilla-Keys:                                                                                 \r\n` +
        `Message-ID: <${folder.name}-${subject}@local>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nFrom: a@b.example\r\nSubject: ${subject}\r\n\r\nFrom here\r\non\r\n`));
      folder.markMessagesRead([messages[0]], true);
      folder.markMessagesFlagged([messages[1]], true);
      folder.addKeywordsToMessages([messages[1]], "$label2");
      folder.addMessageDispositionState(messages[2], folder.nsMsgDispositionState_Replied);
    }
    return accounts.localFoldersServer.localPath.path;
  },

  async renameFolder({ address, name, to }) {
    (await folder(address, name)).rename(to, null);
    await folder(address, to);
    return null;
  },

  async deleteFolder({ address, name }) {
    const f = await folder(address, name);
    /* As with Shift: not by way of the trash. */
    f.QueryInterface(Ci.nsIMsgImapMailFolder);
    f.parent.propagateDelete(f, true);
    MailServices.imap.deleteFolder(f, null, null);
    return null;
  },

  async move({ address, name, subject, to, isMove }) {
    const m = await message(address, name, subject);
    const target = await folder(address, to);
    await copied(listener => MailServices.copy.copyMessages(m.folder, [m], target, isMove, listener, null, false));
    return null;
  },

  async remove({ address, name, subject }) {
    const m = await message(address, name, subject);
    await copied(listener => m.folder.deleteMessages([m], null, false, false, listener, false));
    return null;
  },

  async emptyTrash({ address }) {
    await url(listener => root(address).emptyTrash(listener));
    return null;
  },

  async compact({ address, name }) {
    const f = await folder(address, name);
    await url(listener => f.compact(listener, null));
    return null;
  },

  /* On the server: SEARCH. */
  async search({ address, name, attribute, text }) {
    const where = await folder(address, name);
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, where);
    const term = session.createTerm();
    const value = term.value;
    value.attrib = Ci.nsMsgSearchAttrib[attribute];
    value.str = text;
    term.value = value;
    term.attrib = value.attrib;
    term.op = Ci.nsMsgSearchOp.Contains;
    session.appendTerm(term);
    const hits = [];
    await new Promise((resolve, reject) => {
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
        onSearchHit(header) { hits.push(header.mime2DecodedSubject); },
        onSearchDone(status) {
          Components.isSuccessCode(status) ? resolve() : reject(new Error("search: 0x" + status.toString(16)));
        },
        onNewSearch() {},
      });
      session.search(null);
    });
    return hits.sort();
  },
};
