"""How can one program use CUDA where there is a driver and start where there is none?

candle links the CUDA libraries at build time, so that a program without them does not even start. This writes a static
library for each of them, into the folder that is its argument. Every function jumps through a table; a constructor
fills the table from the real library when the program starts. Where the library or a function is missing, the call
returns an error code that no CUDA library uses for success, and candle reports that there is no device.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# Library, the module of cudarc that declares its functions, the file that is opened at run time, and what a call
# answers where that file is missing: CUDA_ERROR_NO_DEVICE, or a number that is no success of the library.
LIBRARIES = [
    ("cuda", "driver", "libcuda.so.1", 100),
    ("nvrtc", "nvrtc", "libnvrtc.so.13", 999),
    ("curand", "curand", "libcurand.so.10", 999),
    ("cublas", "cublas", "libcublas.so.13", 999),
    ("cublasLt", "cublaslt", "libcublasLt.so.13", 999),
]


def cudarc_sources() -> pathlib.Path:
    """The folder of the one version of cudarc that Cargo.lock names."""
    version = re.search(r'name = "cudarc"\nversion = "([^"]+)"', pathlib.Path("Cargo.lock").read_text())
    cargo_home = pathlib.Path(subprocess.check_output(["sh", "-c", 'echo "${CARGO_HOME:-$HOME/.cargo}"'], text=True).strip())
    found = list(cargo_home.glob(f"registry/src/*/cudarc-{version[1]}/src")) if version else []
    if not found:
        sys.exit("shims: the sources of cudarc are not there: run `cargo fetch` first")
    return found[0]


def functions(sources: pathlib.Path, module: str) -> list[str]:
    """Every function of a library that cudarc can call."""
    text = (sources / module / "sys" / "mod.rs").read_text()
    names = set(re.findall(r"pub (?:unsafe )?fn ((?:cu|nvrtc)\w+)\(", text))
    return sorted(names - {"culib"})


def table(library: str, missing: int, names: list[str]) -> str:
    """Assembly: one jump a function, through a table that starts full of `missing`."""
    jumps = "".join(
        f".globl {name}\n.type {name}, @function\n{name}: jmp *table_{library}+{8 * place}(%rip)\n"
        for place, name in enumerate(names)
    )
    entries = f" .quad missing_{library}\n" * len(names)
    return (
        f".text\nmissing_{library}: movl ${missing}, %eax\n ret\n{jumps}"
        f".data\n.balign 8\n.globl table_{library}\ntable_{library}:\n{entries}"
        '.section .note.GNU-stack,"",@progbits\n'
    )


def constructor(library: str, file: str, names: list[str]) -> str:
    """C: fills the table with what the real library has."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"""#include <dlfcn.h>
extern void *table_{library}[];
static const char *const names[] = {{{listed}}};
__attribute__((constructor)) static void open_{library}(void) {{
    void *library = dlopen("{file}", RTLD_LAZY | RTLD_GLOBAL);
    for (int place = 0; library && place < {len(names)}; place++) {{
        void *function = dlsym(library, names[place]);
        if (function) table_{library}[place] = function;
    }}
}}
"""


def build(folder: pathlib.Path, library: str, file: str, missing: int, names: list[str]) -> None:
    """Writes lib`library`.a; one object, so that a call pulls the constructor in as well."""
    with tempfile.TemporaryDirectory() as scratch:
        at = pathlib.Path(scratch)
        (at / "table.S").write_text(table(library, missing, names))
        (at / "open.c").write_text(constructor(library, file, names))
        run = lambda *command: subprocess.check_call(command, cwd=at)
        run("cc", "-c", "-fPIC", "-O1", "table.S", "open.c")
        run("ld", "-r", "table.o", "open.o", "-o", "shim.o")
        archive = folder.resolve() / f"lib{library}.a"
        archive.unlink(missing_ok=True)
        run("ar", "rcs", str(archive), "shim.o")


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    sources = cudarc_sources()
    for library, module, file, missing in LIBRARIES:
        names = functions(sources, module)
        if not names:
            sys.exit(f"shims: cudarc declares no function of {library}: its sources are laid out anew")
        build(folder, library, file, missing, names)
        print(f"shims: lib{library}.a, {len(names)} functions of {file}")


main()
