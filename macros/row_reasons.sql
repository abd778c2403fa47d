{% macro row_reasons(rules, severity) -%}
    {%- if severity not in ('reject', 'warn') -%}
        {{ exceptions.raise_compiler_error(
            "row_reasons: severity '" ~ severity ~ "' is neither reject nor warn"
        ) }}
    {%- endif -%}
    concat_ws(
        ' | '
        {%- for rule in rules if rule.severity == severity %},
        case when {{ rule.when }} then concat('{{ rule.code }}: ', {{ rule.words }}) end
        {%- endfor %}
    )
{%- endmacro %}
