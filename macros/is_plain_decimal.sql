{% macro is_plain_decimal(value, data_type) -%}
    {%- set scale = data_type.rstrip(')').split(',')[1] | int -%}
    (
        octet_length({{ value }}) = char_length({{ value }})
        and not contains({{ value }}, 'e')
        and not contains({{ value }}, 'E')
        and not startswith({{ value }}, '.')
        and not startswith({{ value }}, '-.')
        and (
            instr({{ value }}, '.') = 0
            or char_length({{ value }}) - instr({{ value }}, '.') <= {{ scale }}
            or (
                -- more decimals, of zeros, are none; but 15.000 may be fifteen thousand
                length(rtrim('0', substring_index({{ value }}, '.', -1))) <= {{ scale }}
                and char_length({{ value }}) - instr({{ value }}, '.') <> 3
            )
        )
    )
{%- endmacro %}
