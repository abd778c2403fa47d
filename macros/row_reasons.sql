{% macro row_reasons(rules, severity) -%}
    concat_ws(
        ' | '
        {%- for rule in rules_of(rules, severity) %},
        case when {{ rule.when }} then concat('{{ rule.code }}: ', {{ rule.words }}) end
        {%- endfor %}
    )
{%- endmacro %}
